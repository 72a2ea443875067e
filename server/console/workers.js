// Who computes, and what lies in memory.
import {get} from './api.js';
import {h, table, bytes, idOf} from './dom.js';
import {every} from './live.js';

export async function workers(page) {
  const content = h('div');
  page.append(h('h1', {}, 'Workers'), content);
  const refresh = async () => {
    const {workers: all} = await get('/v1/workers');
    content.replaceChildren(...[table('Workers', [
      ['Worker', (w) => idOf(w.name)], ['Device', (w) => `${w.device} (${w.device_name})`], ['State', (w) => w.state],
      ['Memory', (w) => bytes(w.memory_bytes), true], ['Free', (w) => bytes(w.free_bytes), true],
      ['Bases', (w) => w.bases.join(', ')], ['Jobs', (w) => w.jobs.map(idOf).join(', ')]], all, 'No worker is there.'),
    all.map((w) => [h('h2', {}, `Memory of ${idOf(w.name)}`), table('By what it is for', [
      ['Kind', (m) => m.kind], ['Bytes', (m) => bytes(m.bytes), true],
      ['Part', (m) => h('meter', {value: Number(m.bytes), max: Number(w.memory_bytes) || 1, 'aria-label': m.kind})]], w.memory)])].flat(2));
  };
  await refresh();
  return every(2, refresh);
}
