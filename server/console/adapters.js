// Adapters, their versions, and which one is live.
import {call, get, list, post} from './api.js';
import {h, table, facts, number, bytes, time, idOf, kindOf, modelOf, button, choice, field, say} from './dom.js';

export async function adapters(page) {
  const all = await list('/v1/adapters', 'adapters');
  page.append(h('h1', {}, 'Adapters'), table('Adapters by name', [
    ['Adapter', (a) => h('a', {href: `#/adapter/${idOf(a.name)}`}, idOf(a.name))], ['Base', (a) => a.base],
    ['Live', (a) => (a.aliases.live ? `version ${a.aliases.live}` : 'none')],
    ['Newest', (a) => a.latest_version, true], ['Made', (a) => time(a.create_time)]], all,
  'There is no adapter yet: a job makes one.'));
}

/** The figures of a version's last evaluation of a split. */
function figures(version, split) {
  const found = (version.evaluations || []).filter((e) => e.split === split).pop();
  if (!found) return '';
  return `loss ${number(found.loss)}${Object.entries(found.metrics || {}).sort().map(([name, value]) => `, ${name} ${number(value)}`).join('')}`;
}

/** A nested value as {path: text}. */
function flat(value, path = '', out = {}) {
  if (value && typeof value === 'object' && !Array.isArray(value)) {
    for (const [name, inner] of Object.entries(value)) flat(inner, path ? `${path}.${name}` : name, out);
  } else {
    out[path] = JSON.stringify(value);
  }
  return out;
}

/** What a version was made by: its job's spec, else what the version itself says. */
async function specOf(version) {
  if (version.job) {
    try {
      return (await get(`/v1/${version.job}`)).spec;
    } catch {
      // The job was deleted; the version still says its method.
    }
  }
  return {method: version.method, base: version.base};
}

async function difference(a, b) {
  const [one, two] = [flat(await specOf(a)), flat(await specOf(b))];
  const paths = [...new Set([...Object.keys(one), ...Object.keys(two)])].filter((path) => one[path] !== two[path]).sort();
  return table(`What differs between ${modelOf(a.name)} and ${modelOf(b.name)}`, [['Field', (path) => path],
    [modelOf(a.name), (path) => one[path] ?? ''], [modelOf(b.name), (path) => two[path] ?? '']], paths, 'Both were asked for in the same words.');
}

function comparison(versions) {
  if (versions.length < 2) return null;
  const names = versions.map((v) => [v.name, modelOf(v.name)]);
  const one = choice(names, {}), two = choice(names, {}), out = h('div', {'aria-live': 'polite'});
  two.value = versions[1].name;
  const find = (name) => versions.find((v) => v.name === name);
  return [h('h2', {}, 'Compare'), h('div', {class: 'row'}, field('This', one), field('with', two),
    button('Compare', async () => out.replaceChildren(await difference(find(one.value), find(two.value))))), out];
}

export async function adapter(page, id) {
  const path = `/v1/adapters/${encodeURIComponent(id)}`;
  const content = h('div');
  page.append(h('h1', {}, id), content);
  const refresh = async () => {
    const [about, versions] = [await get(path), await list(`${path}/versions`, 'versions', 200)];
    const promote = (version) => button('Make live', async () => {
      await call('PUT', `${path}/aliases/live`, {version: idOf(version.name).split('/').pop(), etag: about.etag});
      say(`${modelOf(version.name)} is live.`);
      await refresh();
    }, {'aria-label': `Make live: ${modelOf(version.name)}`});
    content.replaceChildren(...[
      h('div', {class: 'panel'}, facts([['Base', about.base], ['Live', about.aliases.live ? `version ${about.aliases.live}` : 'none'], ['Made', time(about.create_time)]])),
      h('div', {class: 'row'}, about.aliases.live ? button('Roll back', async () => { await post(`${path}/rollback`, {etag: about.etag}); say('Rolled back.'); await refresh(); }) : null,
        h('a', {href: `#/playground/${encodeURIComponent(versions.length ? modelOf(versions[0].name) : id)}`}, 'Try it')),
      h('h2', {}, 'Versions'), table('Versions, the newest first', [
        ['Version', (v) => modelOf(v.name)], ['Method', (v) => kindOf(v.method)],
        ['Validation', (v) => figures(v, 'validation')], ['Test', (v) => figures(v, 'test')], ['Size', (v) => bytes(v.bytes), true],
        ['Job', (v) => (v.job ? h('a', {href: `#/job/${idOf(v.job)}`}, 'its job') : 'imported')], ['Made', (v) => time(v.create_time)],
        ['Live', (v) => (v.aliases.includes('live') ? 'live' : promote(v))]], versions),
      comparison(versions)].flat().filter(Boolean));
  };
  await refresh();
}
