// What a data file's columns are, by its beginning.

const TEXTS = ['text', 'sentence', 'review', 'content', 'body', 'message', 'question', 'title'];
const LABELS = ['label', 'labels', 'class', 'category', 'sentiment', 'target', 'intent'];

/** The cells of one line: quotes as in RFC 4180. */
export function splitLine(line, separator) {
  const cells = [];
  let cell = '', quoted = false;
  for (let i = 0; i < line.length; ++i) {
    const c = line[i];
    if (quoted && c === '"' && line[i + 1] === '"') { cell += '"'; ++i; }
    else if (c === '"') quoted = !quoted;
    else if (c === separator && !quoted) { cells.push(cell); cell = ''; }
    else cell += c;
  }
  return [...cells, cell];
}

/** {format, columns, shape, text, label, prompt, completion, messages}; empty where the file doesn't tell. */
export function guess(name, beginning) {
  const bare = name.toLowerCase().replace(/\.gz$/, '');
  const format = bare.endsWith('.tsv') ? 'tsv' : bare.endsWith('.csv') ? 'csv' : /\.(jsonl|ndjson|json)$/.test(bare) ? 'jsonl' : '';
  const first = (beginning || '').split(/\r?\n/)[0];
  let columns = [];
  if (format === 'jsonl') {
    try { columns = Object.keys(JSON.parse(first)); } catch { columns = []; }
  } else if (format) {
    columns = splitLine(first, format === 'tsv' ? '\t' : ',');
  }
  const find = (names) => columns.find((column) => names.includes(column.toLowerCase())) || '';
  const found = {format, columns, text: find(TEXTS), label: find(LABELS), prompt: find(['prompt', 'instruction', 'input']),
    completion: find(['completion', 'response', 'output', 'answer']), messages: find(['messages', 'conversations'])};
  found.shape = found.messages ? 'chat' : found.prompt && found.completion ? 'completion' : found.label ? 'classification' : found.text ? 'text' : '';
  if (found.shape === 'classification' && !found.text) found.text = columns.find((column) => column !== found.label) || '';
  return found;
}

/** The fields of a data set that name its columns. */
export function columnsOf(shape, {text, label, prompt, completion, messages}) {
  return {classification: {text_columns: [text], label_column: label}, text: {text_columns: [text]},
    completion: {prompt_column: prompt, completion_column: completion}, chat: {messages_column: messages}}[shape];
}

export const taskOf = (shape) => (shape === 'classification' ? {sequence_classification: {}} : {causal_lm: {}});
