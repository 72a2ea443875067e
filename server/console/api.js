// The public HTTP API: what the console shows, anyone's program can ask for.

/** Asks for JSON. An answer that isn't one is thrown as an Error with the service's sentence. */
export async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body === undefined ? {} : {'Content-Type': 'application/json'},
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!response.ok) throw await failure(response);
  return response.status === 204 ? null : response.json();
}

export const get = (path) => call('GET', path);
export const post = (path, body = {}) => call('POST', path, body);

/** The fault as the service says it: a sentence, and where there are, its details. */
export async function failure(response) {
  try {
    const {error} = await response.json();
    const more = (error.details || []).slice(1).map((d) => `${d.line ? `line ${d.line}: ` : ''}${d.message || d.field || ''}`);
    return new Error([error.param ? `${error.message} (${error.param})` : error.message, ...more].join('\n'));
  } catch {
    return new Error(`The server answered ${response.status}.`);
  }
}

/** All pages of a list of graft's own API, up to `most` entries. */
export async function list(path, key, most = 1000) {
  const all = [];
  let token = '';
  do {
    const page = await get(`${path}${path.includes('?') ? '&' : '?'}page_size=200&page_token=${encodeURIComponent(token)}`);
    all.push(...page[key]);
    token = page.next_page_token;
  } while (token && all.length < most);
  return all;
}

/** Uploads a file; returns the data set. */
export async function upload(file) {
  const response = await fetch(`/v1/datasets?file_name=${encodeURIComponent(file.name)}`, {
    method: 'POST', headers: {'Content-Type': 'application/octet-stream'}, body: file});
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** Streams a chat's answer; `onText` gets each piece. Ends early, without a word, if `signal` is aborted. */
export async function streamChat(request, onText, signal) {
  const response = await fetch('/v1/chat/completions', {
    method: 'POST', signal, headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({...request, stream: true, stream_options: {include_usage: true}})});
  if (!response.ok) throw await failure(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '', usage = null;
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return usage;
    const events = (rest + value).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, '');
      if (data === '[DONE]') continue;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      if (chunk.usage) usage = chunk.usage;
      for (const choice of chunk.choices) if (choice.delta.content) onText(choice.delta.content);
    }
  }
}
