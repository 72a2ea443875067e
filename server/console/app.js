// Which view an address shows. A view is a function(main, ...parts of the address) that fills `main`; what it returns, if
// anything, is called when another takes its place.
import {h, say} from './dom.js';
import {jobs} from './jobs.js';
import {job} from './job.js';
import {submit} from './submit.js';
import {adapters, adapter} from './adapters.js';
import {playground} from './playground.js';
import {datasets} from './datasets.js';
import {workers} from './workers.js';

const views = {jobs, job, submit, adapters, adapter, playground, datasets, workers};
const sections = {job: 'jobs', adapter: 'adapters'};
let leave = null, shown = 0;

async function show() {
  const [name, ...parts] = location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
  const view = views[name] || jobs;
  const number = ++shown;
  if (leave) leave();
  leave = null;
  say('');
  const section = `#/${sections[name] || (views[name] ? name : 'jobs')}`;
  for (const link of document.querySelectorAll('nav a')) {
    if (link.getAttribute('href') === section) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  const main = document.getElementById('main');
  const page = h('div');
  main.replaceChildren(page);
  try {
    const end = await view(page, ...parts);
    if (number !== shown) { if (end) end(); return; }
    leave = end || null;
  } catch (error) {
    page.replaceChildren(h('h1', {}, 'That did not work'), h('p', {class: 'bad'}, error.message));
    say(error.message);
  }
  const title = page.querySelector('h1');
  document.title = title ? `${title.textContent} - graft` : 'graft';
  if (number > 1) main.focus({preventScroll: true});
}

addEventListener('hashchange', show);
show();
