// A new job: a file, what is in it, what it would cost, then the job.
import {list, post, upload} from './api.js';
import {h, field, choice, facts, number, bytes, button, say, idOf} from './dom.js';
import {guess, columnsOf, taskOf} from './columns.js';
import {reportOf} from './report.js';

const SHAPES = [['classification', 'texts with labels'], ['chat', 'conversations'], ['completion', 'prompts with completions'], ['text', 'plain texts']];
const METHODS = [['lora', 'LoRA'], ['bottleneck', 'Bottleneck adapter'], ['last_layers', 'Last layers'], ['full', 'All weights']];

/** The beginning of a file as text; nothing of one that is compressed. */
async function beginning(file) {
  return file.name.endsWith('.gz') ? '' : (await file.slice(0, 65536).text());
}

/** The data set of a job, by what the form says of its columns. */
function datasetOf(form, uri) {
  const value = (name) => form.elements[name].value.trim();
  const dataset = {train: uri, validation_fraction: Number(value('validation')) || 0};
  const named = Object.fromEntries(Object.keys(TITLES).map((name) => [name, value(name)]));
  return Object.assign(dataset, columnsOf(value('shape'), named));
}

function specOf(form, uri) {
  const value = (name) => form.elements[name].value.trim();
  let settings = {};
  try {
    settings = JSON.parse(value('settings') || '{}');
  } catch {
    throw new Error('The method\'s settings must be JSON, like {"rank": 8}.');
  }
  const hyperparameters = {};
  for (const name of ['epochs', 'learning_rate', 'batch_size', 'seed', 'max_length']) {
    if (value(name)) hyperparameters[name] = Number(value(name));
  }
  const task = taskOf(value('shape'));
  return {base: value('base'), adapter: value('adapter'), task, method: {[value('method')]: settings},
    dataset: datasetOf(form, uri), hyperparameters, promote: form.elements.promote.checked};
}

function estimateOf({facts: f, warnings}) {
  return [facts([['Examples', f.train_examples], ['Tokens of an epoch', f.train_tokens], ['Steps', f.total_steps],
    ['Trainable parameters', f.trainable_parameters], ['Artifact', bytes(f.artifact_bytes)], ['Memory', bytes(f.peak_memory_bytes)],
    ['Time', f.seconds ? `about ${number(f.seconds, 2)} s` : '']]), warnings.map((warning) => h('p', {class: 'quiet'}, warning))];
}

function columnFields() {
  const options = h('datalist', {id: 'columns'});
  const input = (name) => h('input', {name, list: 'columns'});
  return {options, inputs: {text: input('text'), label: input('label'), prompt: input('prompt'), completion: input('completion'), messages: input('messages')}};
}

const WANTED = {classification: ['text', 'label'], chat: ['messages'], completion: ['prompt', 'completion'], text: ['text']};
const TITLES = {text: 'Text column', label: 'Label column', prompt: 'Prompt column', completion: 'Completion column', messages: 'Messages column'};

export async function submit(page) {
  const bases = (await list('/v1/bases', 'bases')).filter((base) => !base.error);
  const file = h('input', {type: 'file', name: 'file', required: true, accept: '.csv,.tsv,.jsonl,.json,.gz'});
  const shape = choice(SHAPES, {name: 'shape'});
  const {options, inputs} = columnFields();
  const labels = Object.fromEntries(Object.entries(inputs).map(([name, control]) => [name, field(TITLES[name], control)]));
  const found = h('p', {class: 'quiet'}, 'Choose a file: its columns are looked up in it.');
  const report = h('div', {'aria-live': 'polite'});
  const arrange = () => { for (const [name, label] of Object.entries(labels)) label.hidden = !WANTED[shape.value].includes(name); };
  let dataset = null;
  const form = h('form', {onsubmit: (event) => event.preventDefault()},
    h('fieldset', {}, h('legend', {}, 'Data'), h('div', {class: 'fields'}, field('File (CSV, TSV, JSONL, also .gz)', file), field('What it holds', shape), Object.values(labels), options,
      field('Part held back to validate', h('input', {name: 'validation', type: 'number', min: 0, max: 0.9, step: 0.01, value: 0.1}))), found),
    h('fieldset', {}, h('legend', {}, 'Training'), h('div', {class: 'fields'},
      field('Base', choice(bases.map((base) => idOf(base.name)), {name: 'base'})),
      field('Adapter (its name)', h('input', {name: 'adapter', required: true, pattern: '[a-z0-9]([a-z0-9._\\-]{0,61}[a-z0-9])?', title: 'a-z, 0-9 and . _ - between them'})),
      field('Method', choice(METHODS, {name: 'method'})), field('Its settings (JSON)', h('input', {name: 'settings', placeholder: '{"rank": 8}'})),
      field('Epochs', h('input', {name: 'epochs', type: 'number', min: 0.01, step: 'any', placeholder: '3'})),
      field('Learning rate', h('input', {name: 'learning_rate', type: 'number', min: 0, step: 'any', placeholder: 'the method\'s'})),
      field('Batch size', h('input', {name: 'batch_size', type: 'number', min: 1, placeholder: '16'})),
      field('Seed', h('input', {name: 'seed', type: 'number', min: 0, placeholder: '42'})),
      field('Tokens of an example, at most', h('input', {name: 'max_length', type: 'number', min: 8, placeholder: 'the base\'s'}))),
    h('label', {}, h('input', {type: 'checkbox', name: 'promote'}), ' Make it live when it is done')));
  const uri = async () => {
    if (!form.reportValidity()) throw new Error('The form has a field that is empty or wrong.');
    if (!dataset) { say('Uploading the file.'); dataset = await upload(file.files[0]); }
    return dataset.uri;
  };
  const show = async (work) => { report.replaceChildren(h('p', {class: 'quiet'}, 'Reading the data.'));
    try { report.replaceChildren(...[await work()].flat(Infinity).filter(Boolean)); } catch (error) { report.replaceChildren(h('p', {class: 'bad'}, error.message)); } };
  form.append(h('div', {class: 'row'},
    button('Check the data', () => show(async () => { const spec = specOf(form, await uri()); return reportOf(await post('/v1/datasets/check', {dataset: spec.dataset, task: spec.task})); })),
    button('Estimate', () => show(async () => estimateOf(await post('/v1/jobs/estimate', {spec: specOf(form, await uri())})))),
    button('Start', async () => { const job = await post('/v1/jobs', {spec: specOf(form, await uri()), request_id: crypto.randomUUID()}); location.hash = `#/job/${idOf(job.name)}`; }, {class: 'main'})));
  shape.addEventListener('change', arrange);
  file.addEventListener('change', async () => {
    dataset = null;
    const told = guess(file.files[0].name, await beginning(file.files[0]));
    if (told.shape) shape.value = told.shape;
    for (const [name, control] of Object.entries(inputs)) control.value = told[name];
    options.replaceChildren(...told.columns.map((value) => h('option', {value})));
    found.textContent = told.columns.length ? `Its columns: ${told.columns.join(', ')}` : 'Its columns can\'t be told from here; write them down.';
    arrange();
  });
  arrange();
  page.append(h('h1', {}, 'New job'), form, report);
}
