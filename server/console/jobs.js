// All jobs, and what waits in which order.
import {list} from './api.js';
import {h, table, number, time, idOf, kindOf, choice, field} from './dom.js';
import {every} from './live.js';

const STATES = ['VALIDATING', 'QUEUED', 'RUNNING', 'PAUSED', 'SUCCEEDED', 'FAILED', 'CANCELLED'];

const link = (job) => h('a', {href: `#/job/${idOf(job.name)}`}, job.spec?.adapter || idOf(job.name));

function progress(job) {
  const {step, total_steps: total} = job.progress || {};
  if (!Number(total)) return '';
  return [h('progress', {max: total, value: step, 'aria-label': `step ${step} of ${total}`}), ` ${step}/${total}`];
}

/** In the order in which they will run. */
function queue(all) {
  const waiting = all.filter((job) => job.state === 'QUEUED').sort((a, b) =>
    (b.spec.priority - a.spec.priority) || a.queue_time.localeCompare(b.queue_time));
  if (waiting.length === 0) return null;
  return [h('h2', {}, 'Queue'), table('Waiting for a worker, the next first', [
    ['Place', (job) => waiting.indexOf(job) + 1, true], ['Job', link], ['Base', (job) => job.spec.base],
    ['Priority', (job) => job.spec.priority, true], ['Since', (job) => time(job.queue_time)]], waiting)];
}

export async function jobs(page) {
  const state = choice([['', 'any'], ...STATES]);
  const content = h('div');
  page.append(h('h1', {}, 'Jobs'), h('div', {class: 'row'}, field('State', state),
    h('a', {href: '#/submit'}, 'New job')), content);
  const refresh = async () => {
    const filter = state.value ? `?filter=${encodeURIComponent(`state=${state.value}`)}` : '';
    const all = await list(`/v1/jobs${filter}`, 'jobs', 500);
    content.replaceChildren(...[queue(all), h('h2', {}, 'All jobs'), table('Jobs, the newest first', [
      ['Adapter', link], ['Base', (job) => job.spec?.base], ['Method', (job) => kindOf(job.spec?.method)],
      ['State', (job) => h('span', {class: job.state === 'FAILED' ? 'state bad' : 'state'}, job.state)],
      ['Progress', progress], ['Loss', (job) => (job.progress ? number(job.progress.loss) : ''), true],
      ['Created', (job) => time(job.create_time)]], all, 'There is no job yet: start one with New job.')].flat().filter(Boolean));
  };
  state.addEventListener('change', refresh);
  await refresh();
  return every(2, refresh);
}
