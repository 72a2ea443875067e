// The base and up to three adapters answer the same question next to each other.
import {list, post, streamChat} from './api.js';
import {h, field, choice, number, idOf, say} from './dom.js';

const MOST = 3;

/** Where one model answers. */
function place(model) {
  const text = h('pre'), note = h('p', {class: 'quiet'});
  return {model, text, note, node: h('section', {class: 'answer', 'aria-label': `Answer of ${model}`}, h('h2', {}, model), text, note)};
}

async function chat(spot, request, signal) {
  const begun = performance.now();
  let first = 0;
  const usage = await streamChat({...request, model: spot.model}, (piece) => {
    first = first || performance.now() - begun;
    spot.text.append(piece);
  }, signal);
  const seconds = (performance.now() - begun) / 1000;
  if (usage) spot.note.textContent = `${usage.completion_tokens} tokens, first after ${number(first / 1000, 2)} s, all in ${number(seconds, 2)} s`;
}

async function classify(spot, text) {
  const answer = await post('/v1/classify', {model: spot.model, input: text});
  const rows = Object.entries(answer.data[0].probabilities).sort((a, b) => b[1] - a[1]);
  spot.text.replaceWith(h('div', {}, rows.map(([label, probability]) => h('p', {}, h('meter', {value: probability, 'aria-label': label}), ` ${label} ${number(probability, 3)}`))));
}

export async function playground(page, preset) {
  const bases = (await list('/v1/bases', 'bases')).filter((base) => !base.error).map((base) => idOf(base.name));
  const adapters = await list('/v1/adapters', 'adapters');
  const names = adapters.flatMap((a) => [...(a.aliases.live ? [idOf(a.name)] : []), ...(Number(a.latest_version) ? [`${idOf(a.name)}@${a.latest_version}`] : [])]);
  if (preset && !names.includes(preset)) names.unshift(preset);
  const kind = choice([['chat', 'Chat'], ['classification', 'Classification']], {name: 'kind'});
  const base = choice([['', 'none'], ...bases], {name: 'base'});
  const picks = Array.from({length: MOST}, (_, i) => choice([['', 'none'], ...names], {name: `adapter-${i}`}));
  const text = h('textarea', {name: 'text', required: true}), system = h('input', {name: 'system'});
  const most = h('input', {name: 'tokens', type: 'number', min: 1, max: 4096, value: 128});
  const heat = h('input', {name: 'temperature', type: 'number', min: 0, max: 2, step: 0.1, value: 0});
  const answers = h('div', {class: 'answers', 'aria-live': 'polite', 'aria-busy': 'false'});
  let running = null;
  const stop = h('button', {type: 'button', disabled: true, onclick: () => running?.abort()}, 'Stop');
  const ask = async (event) => {
    event.preventDefault();
    running?.abort();
    const own = running = new AbortController();
    const isChat = kind.value === 'chat';
    const spots = [isChat ? base.value : '', ...picks.map((pick) => pick.value)].filter(Boolean).map(place);
    if (spots.length === 0) return say('Choose a model that answers.');
    answers.replaceChildren(...spots.map((spot) => spot.node));
    answers.setAttribute('aria-busy', 'true');
    stop.disabled = false;
    const messages = [...(system.value ? [{role: 'system', content: system.value}] : []), {role: 'user', content: text.value}];
    const request = {messages, max_completion_tokens: Number(most.value), temperature: Number(heat.value)};
    await Promise.all(spots.map(async (spot) => {
      try {
        await (isChat ? chat(spot, request, own.signal) : classify(spot, text.value));
      } catch (error) {
        spot.note.textContent = own.signal.aborted ? 'Stopped.' : error.message;
        if (!own.signal.aborted) spot.note.className = 'bad';
      }
    }));
    if (own === running) { stop.disabled = true; answers.setAttribute('aria-busy', 'false'); }
  };
  if (preset) picks[0].value = preset;
  const chosen = adapters.find((a) => idOf(a.name) === (preset || '').split('@')[0]);
  if (chosen) base.value = chosen.base;
  page.append(h('h1', {}, 'Playground'), h('form', {onsubmit: ask},
    h('div', {class: 'fields'}, field('Kind', kind), field('Base', base), picks.map((pick, i) => field(`Adapter ${i + 1}`, pick)),
      field('Tokens at most', most), field('Temperature', heat)),
    field('What the system says (chat)', system), field('Text', text),
    h('div', {class: 'row'}, h('button', {class: 'main'}, 'Answer'), stop)), answers);
  return () => running?.abort();
}
