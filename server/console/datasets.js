// Uploaded data sets.
import {call, list} from './api.js';
import {h, table, bytes, time, idOf, button, say} from './dom.js';

export async function datasets(page) {
  const content = h('div');
  page.append(h('h1', {}, 'Data sets'), content);
  const refresh = async () => {
    const all = await list('/v1/datasets', 'datasets', 500);
    content.replaceChildren(table('Uploaded files, the newest first', [
      ['File', (d) => d.file_name || 'unnamed'], ['Bytes', (d) => bytes(d.bytes), true], ['Uploaded', (d) => time(d.create_time)],
      ['Hash', (d) => h('code', {title: idOf(d.name)}, idOf(d.name).slice(0, 12))],
      ['Action', (d) => button('Delete', async () => {
        if (!confirm(`Delete ${d.file_name || d.name}? Jobs that were made of it keep their own copy.`)) return;
        await call('DELETE', `/v1/${d.name}`);
        say('Deleted.');
        await refresh();
      }, {'aria-label': `Delete ${d.file_name || d.name}`})]], all, 'Nothing was uploaded yet: New job uploads a file.'));
  };
  await refresh();
}
