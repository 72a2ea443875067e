// What a check says of data, line by line.
import {h, table, number} from './dom.js';

export function reportOf(report) {
  return [h('p', {class: report.usable ? '' : 'bad'}, report.summary),
    table('Parts of the data', [['Part', (s) => s.name], ['Examples', (s) => s.examples, true],
      ['Labels', (s) => Object.entries(s.labels || {}).map(([label, count]) => `${label}: ${count}`).join(', ')],
      ['Mean bytes', (s) => number(s.mean_bytes, 3), true]], report.splits),
    report.errors.length ? table('Faults', [['Line', (e) => (e.line === '0' ? '' : e.line), true], ['Column', (e) => e.column], ['What', (e) => e.message]], report.errors) : null,
    report.warnings.map((warning) => h('p', {class: 'quiet'}, warning))];
}
