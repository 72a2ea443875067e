// Uploaded data sets.
import {call, failure, list, post} from './api.js';
import {h, table, bytes, time, idOf, button, say} from './dom.js';
import {guess, columnsOf, taskOf} from './columns.js';
import {reportOf} from './report.js';

/** The beginning of an uploaded file, the rest of which isn't read. */
async function beginning(dataset) {
  const stop = new AbortController();
  const response = await fetch(`/v1/files/file-${idOf(dataset.name)}/content`, {signal: stop.signal});
  if (!response.ok) throw await failure(response);
  const {value} = await response.body.getReader().read();
  stop.abort();
  return new TextDecoder().decode((value || new Uint8Array()).slice(0, 65536));
}

async function check(dataset) {
  const told = guess(dataset.file_name, dataset.file_name.endsWith('.gz') ? '' : await beginning(dataset));
  if (!told.shape) throw new Error('Its columns can\'t be told from its beginning: New job lets them be written down.');
  return post('/v1/datasets/check', {dataset: {train: dataset.uri, ...columnsOf(told.shape, told)}, task: taskOf(told.shape)});
}

export async function datasets(page) {
  const content = h('div'), report = h('div', {'aria-live': 'polite'});
  page.append(h('h1', {}, 'Data sets'), content, report);
  const refresh = async () => {
    const all = await list('/v1/datasets', 'datasets', 500);
    content.replaceChildren(table('Uploaded files, the newest first', [
      ['File', (d) => d.file_name || 'unnamed'], ['Bytes', (d) => bytes(d.bytes), true], ['Uploaded', (d) => time(d.create_time)],
      ['Hash', (d) => h('code', {title: idOf(d.name)}, idOf(d.name).slice(0, 12))],
      ['Report', (d) => button('Check', async () => {
        const said = await check(d);
        report.replaceChildren(h('h2', {}, `Report on ${d.file_name}`), ...[reportOf(said)].flat(Infinity).filter(Boolean));
      }, {'aria-label': `Check ${d.file_name || d.name}`})],
      ['Action', (d) => button('Delete', async () => {
        if (!confirm(`Delete ${d.file_name || d.name}? Jobs that were made of it keep their own copy.`)) return;
        await call('DELETE', `/v1/${d.name}`);
        say('Deleted.');
        await refresh();
      }, {'aria-label': `Delete ${d.file_name || d.name}`})]], all, 'Nothing was uploaded yet: New job uploads a file.'));
  };
  await refresh();
}
