// Elements without a framework. Text is always text: nothing here reads HTML.

/** h('a', {href: '#/jobs', onclick: f}, 'Jobs', more...): an element. Null children are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A table. `columns`: [title, cell(row), isNumber]; a cell is a node or a text. */
export function table(caption, columns, rows, empty = 'There is nothing yet.') {
  if (rows.length === 0) return h('p', {class: 'quiet'}, empty);
  const kind = (isNumber) => (isNumber ? {class: 'number'} : {});
  return h('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption},
    h('table', {}, h('caption', {}, caption),
      h('thead', {}, h('tr', {}, columns.map(([title, , isNumber]) => h('th', {scope: 'col', ...kind(isNumber)}, title)))),
      h('tbody', {}, rows.map((row) => h('tr', {}, columns.map(([, cell, isNumber]) => h('td', kind(isNumber), cell(row) ?? '')))))));
}

/** Names and values. */
export function facts(pairs) {
  return h('dl', {}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== '')
    .map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

/** A labelled field; returns the label, whose .control is the input. */
export function field(name, control) {
  control.name = control.name || name;
  const label = h('label', {}, name, control);
  return label;
}

export function choice(options, attributes = {}) {
  return h('select', attributes, options.map((option) => {
    const [value, text] = Array.isArray(option) ? option : [option, option];
    return h('option', {value}, text);
  }));
}

/** A button that is off while its work runs, and says what went wrong. */
export function button(text, work, attributes = {}) {
  return h('button', {type: 'button', ...attributes, onclick: async (event) => {
    event.currentTarget.disabled = true;
    const self = event.currentTarget;
    try {
      await work();
    } catch (error) {
      say(error.message);
    } finally {
      self.disabled = false;
    }
  }}, text);
}

let silence = 0;
/** Tells something once, to eyes and to screen readers. */
export function say(text) {
  const status = document.getElementById('status');
  status.textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => { status.textContent = ''; }, 8000);
}

export const number = (value, digits = 4) => (value === undefined || value === null ? '' : Number(Number(value).toPrecision(digits)).toString());
export const bytes = (value) => {
  let amount = Number(value), unit = 0;
  while (amount >= 1024 && unit < 4) { amount /= 1024; ++unit; }
  return `${number(amount, 3)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
};
export const time = (text) => (text ? h('time', {datetime: text}, new Date(text).toLocaleString()) : '');
export const idOf = (name) => name.slice(name.indexOf('/') + 1);
/** "support@3" of "adapters/support/versions/3". */
export const modelOf = (name) => name.replace(/^adapters\//, '').replace('/versions/', '@');
export const kindOf = (method) => Object.keys(method || {}).find((key) => typeof method[key] === 'object') || '';
