// Curves of a job: training loss as it comes, losses of evaluations.
import {h, number} from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 720, HEIGHT = 260, LEFT = 56, RIGHT = 12, TOP = 24, BOTTOM = 34;

function s(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** At most `most` of the points, the last one among them. */
function thinned(points, most = 600) {
  const step = Math.ceil(points.length / most);
  return points.filter((_, i) => i % step === 0 || i === points.length - 1);
}

/** `train` and `validation`: [[step, loss]...] in order. Returns a figure; its numbers are there as text too. */
export function lossChart(train, validation) {
  const all = [...train, ...validation];
  if (all.length === 0) return h('p', {class: 'quiet'}, 'No step has been reported yet.');
  const last = Math.max(...all.map(([step]) => step), 1);
  const top = Math.max(...all.map(([, loss]) => loss)), low = Math.min(...all.map(([, loss]) => loss), top - 1e-9);
  const x = (step) => LEFT + (WIDTH - LEFT - RIGHT) * step / last;
  const y = (loss) => TOP + (HEIGHT - TOP - BOTTOM) * (top - loss) / (top - low);
  const line = (points, kind) => s('polyline', {class: kind,
    points: thinned(points).map(([step, loss]) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(' ')});
  const tell = (points, name) => (points.length ? `${name} ${number(points[points.length - 1][1])} at step ${points[points.length - 1][0]}` : '');
  const summary = [tell(train, 'training loss'), tell(validation, 'validation loss')].filter(Boolean).join(', ');
  const svg = s('svg', {class: 'chart', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `Loss by step: ${summary}`});
  svg.append(s('line', {class: 'axis', x1: LEFT, x2: LEFT, y1: TOP, y2: HEIGHT - BOTTOM}),
    s('line', {class: 'axis', x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM}),
    s('text', {x: LEFT - 6, y: TOP + 4, 'text-anchor': 'end'}, number(top, 3)),
    s('text', {x: LEFT - 6, y: HEIGHT - BOTTOM, 'text-anchor': 'end'}, number(low, 3)),
    s('text', {x: LEFT, y: HEIGHT - 10}, '0'),
    s('text', {x: WIDTH - RIGHT, y: HEIGHT - 10, 'text-anchor': 'end'}, `step ${last}`),
    s('text', {x: LEFT + 4, y: 14}, summary), line(train, 'train'), line(validation, 'validation'));
  for (const [step, loss] of thinned(validation)) svg.append(s('circle', {class: 'validation-dot', cx: x(step), cy: y(loss), r: 3}));
  return h('figure', {}, svg, h('figcaption', {class: 'quiet'}, 'Solid: training. Dashed: validation.'));
}
