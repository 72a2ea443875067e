// One job: what it is, how it goes, live.
import {get, post} from './api.js';
import {h, table, facts, number, bytes, time, modelOf, kindOf, button, say} from './dom.js';
import {lossChart} from './chart.js';

const OVER = ['SUCCEEDED', 'FAILED', 'CANCELLED'];

/** A sentence for an event; null for those that the curves show. */
function tell(event) {
  if (event.state_change) return `${event.state_change.to} (${event.state_change.reason})${event.state_change.error ? `: ${event.state_change.error.message}` : ''}`;
  if (event.evaluation) {
    const {split, step, loss, metrics} = event.evaluation;
    return `${split} at step ${step}: loss ${number(loss)}${Object.entries(metrics || {}).sort().map(([name, value]) => `, ${name} ${number(value)}`).join('')}`;
  }
  if (event.checkpoint) return `Checkpoint at step ${event.checkpoint.step}${event.checkpoint.adapter_version ? `, kept as ${modelOf(event.checkpoint.adapter_version)}` : ''}`;
  if (event.warning) return `Warning: ${event.warning}`;
  if (event.version_created) return `Made ${modelOf(event.version_created.adapter_version)}`;
  if (event.sample) return `Sample at step ${event.sample.step}: ${event.sample.prompt}${event.sample.text}`;
  return null;
}

/** What the events say so far. */
class Log {
  train = [];
  validation = [];
  sentences = [];
  add(event) {
    if (event.progress) this.train.push([Number(event.progress.step), event.progress.loss]);
    if (event.evaluation && event.evaluation.split === 'validation')
      this.validation.push([Number(event.evaluation.step), event.evaluation.loss]);
    const sentence = tell(event);
    if (sentence) this.sentences.unshift([event.time, sentence]);
  }
}

function actions(job, refresh) {
  const act = (name) => button(name[0].toUpperCase() + name.slice(1), async () => {
    await post(`/v1/${job.name}/${name}`);
    await refresh();
  });
  const buttons = [];
  if (['QUEUED', 'RUNNING'].includes(job.state)) buttons.push(act('pause'));
  if (job.state === 'PAUSED') buttons.push(act('resume'));
  if (!OVER.includes(job.state)) buttons.push(act('cancel'));
  if (job.adapter_version) {
    const model = modelOf(job.adapter_version);
    buttons.push(h('a', {href: `#/adapter/${job.spec.adapter}`}, `See ${model}`),
      h('a', {href: `#/playground/${encodeURIComponent(model)}`}, 'Try it'));
  }
  return h('div', {class: 'row'}, buttons);
}

function about(job) {
  const {spec, progress, facts: figures} = job;
  const rows = [
    ['State', h('span', {class: job.state === 'FAILED' ? 'state bad' : 'state'}, job.state)],
    ['Fault', job.error && h('span', {class: 'bad'}, job.error.message)],
    ['Base', spec.base], ['Adapter', spec.adapter], ['Continues', spec.init_from],
    ['Method', `${kindOf(spec.method)} ${JSON.stringify(spec.method?.[kindOf(spec.method)] ?? {})}`],
    ['Data', spec.dataset?.train], ['Created', time(job.create_time)], ['Ended', time(job.end_time)],
    ['Attempts', (job.attempts || []).map((a) => `${a.number} on ${a.worker}${a.end_reason ? ` (${a.end_reason})` : ''}`).join(', ')],
  ];
  if (progress && Number(progress.total_steps)) rows.push(
    ['Progress', [h('progress', {max: progress.total_steps, value: progress.step, 'aria-label': 'Progress'}), ` step ${progress.step} of ${progress.total_steps}`]],
    ['Speed', `${number(progress.tokens_per_second, 3)} tokens/s`],
    ['Time left', job.state === 'RUNNING' ? `${number(progress.eta_seconds, 2)} s` : null]);
  if (figures && Number(figures.total_steps)) rows.push(
    ['Examples', figures.train_examples], ['Trainable parameters', figures.trainable_parameters],
    ['Artifact', bytes(figures.artifact_bytes)]);
  return facts(rows);
}

export async function job(page, id) {
  const path = `/v1/jobs/${encodeURIComponent(id)}`;
  const title = h('h1'), bar = h('div'), info = h('div', {class: 'panel'}), curves = h('div'), events = h('div');
  page.append(title, bar, info, h('h2', {}, 'Loss'), curves, h('h2', {}, 'Events'), events);
  const log = new Log();
  const refresh = async () => {
    const now = await get(path);
    title.textContent = now.spec.adapter;
    bar.replaceChildren(actions(now, refresh));
    info.replaceChildren(about(now));
    return now;
  };
  const draw = () => {
    curves.replaceChildren(lossChart(log.train, log.validation));
    events.replaceChildren(table('Events, the newest first', [['Time', ([when]) => time(when)], ['What', ([, what]) => what]],
      log.sentences.slice(0, 200)));
  };
  await refresh();
  draw();
  // Drawn once a frame, however many events come; a state's change asks for the job again.
  let pending = 0, asked = Date.now();
  let source = null, last = 0, again = 0;
  const follow = () => {
    source = new EventSource(`${path}/events?after_event=${last}`);
    source.onmessage = take;
    // A browser gives up on a server that is away; this doesn't.
    source.onerror = () => { if (source.readyState === EventSource.CLOSED && !over) again = setTimeout(follow, 2000); };
  };
  let over = false;
  const take = ({data}) => {
    const event = JSON.parse(data);
    if (!event.number) return;
    last = Number(event.number);
    log.add(event);
    over = over || (event.state_change && OVER.includes(event.state_change.to));
    if (event.state_change && OVER.includes(event.state_change.to)) say(`The job is ${event.state_change.to}.`);
    if (event.state_change || Date.now() - asked > 1000) { asked = Date.now(); refresh().catch(() => {}); }
    if (!pending) pending = requestAnimationFrame(() => { pending = 0; draw(); });
  };
  follow();
  return () => { over = true; source.close(); clearTimeout(again); cancelAnimationFrame(pending); };
}
