// A person without a terminal, in a real browser: run by console_test.py.
//
// Arguments: the server's address, the folder of node_modules, the browser's program, a folder for pictures, a training file, a
// base that classifies, one that writes. Prints one line of JSON a step; ends with 1 at the first thing that isn't as it must be.
import {createRequire} from 'node:module';
import {mkdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

const [address, modules, browserPath, pictures, file, base, writer] = process.argv.slice(2);
const require = createRequire(join(modules, 'package.json'));
const {chromium} = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
mkdirSync(pictures, {recursive: true});

const DESKTOP = {width: 1280, height: 900}, PHONE = {width: 390, height: 844};
const faults = [];
let page;

function must(fine, what) {
  if (!fine) throw new Error(what);
  console.log(JSON.stringify({done: what}));
}

/** axe-core on what is shown now, in both colour schemes; pictures at both widths. */
async function look(name) {
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({colorScheme: scheme});
    const {violations} = await page.evaluate(() => window.axe.run(document, {resultTypes: ['violations']}));
    for (const violation of violations) faults.push(`${name}, ${scheme}: ${violation.id}: ${violation.nodes.map((n) => n.html).join(' | ')}`);
    await page.screenshot({path: join(pictures, `${name}-${scheme}.png`), fullPage: true});
  }
  await page.emulateMedia({colorScheme: 'light'});
  await page.setViewportSize(PHONE);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  if (wide) faults.push(`${name}: wider than a phone`);
  await page.screenshot({path: join(pictures, `${name}-phone.png`), fullPage: true});
  await page.setViewportSize(DESKTOP);
}

async function open(address_) {
  await page.goto(`${address}/#/${address_}`);
  await page.reload();
  await page.waitForSelector('h1');
}

async function submit(adapter, epochs) {
  await open('submit');
  await page.setInputFiles('input[type=file]', file);
  await page.waitForFunction(() => document.querySelector('[name=label]').value === 'label');
  must(await page.inputValue('[name=text]') === 'text', 'the columns are guessed');
  await page.selectOption('[name=base]', base);
  await page.fill('[name=adapter]', adapter);
  await page.fill('[name=epochs]', String(epochs));
  await page.fill('[name=batch_size]', '8');
}

async function trainOne(adapter, epochs) {
  await submit(adapter, epochs);
  await page.click('button:has-text("Start")');
  await page.waitForSelector('h1:has-text("' + adapter + '")');
}

const points = () => page.evaluate(() => (document.querySelector('svg polyline.train')?.getAttribute('points') || '').split(' ').length);

async function main() {
  const browser = await chromium.launch({executablePath: browserPath, args: ['--no-sandbox']});
  const context = await browser.newContext({viewport: DESKTOP, locale: 'en-GB', timezoneId: 'UTC'});
  page = await context.newPage();
  page.setDefaultTimeout(120000);
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()}`); });
  page.on('pageerror', (error) => faults.push(`page: ${error.message}`));
  page.on('request', (request) => { if (!request.url().startsWith(address) && !request.url().startsWith('data:')) faults.push(`foreign request: ${request.url()}`); });
  await context.addInitScript(axe);

  await open('jobs');
  await look('empty');
  await submit('first', 40);
  await page.click('button:has-text("Check the data")');
  await page.waitForSelector('table caption:has-text("Parts of the data")');
  await page.click('button:has-text("Estimate")');
  await page.waitForSelector('dt:has-text("Steps")');
  await look('submit');
  await page.click('button:has-text("Start")');
  await page.waitForSelector('svg polyline.train');
  const before = await points();
  await page.waitForFunction((n) => document.querySelector('svg polyline.train').getAttribute('points').split(' ').length > n, before);
  must(true, 'the curve moves');
  await page.reload();
  await page.waitForSelector('svg polyline.train');
  must(await points() >= before, 'a reload in the middle loses nothing');
  await page.waitForSelector('.state:has-text("SUCCEEDED")');
  await look('job');

  await trainOne('first', 8);
  await page.waitForSelector('.state:has-text("SUCCEEDED")');
  await open('adapters');
  await look('adapters');
  await open('adapter/first');
  must(await page.locator('td:has-text("first@2")').count() > 0, 'the second version is listed');
  await page.click('button:has-text("Compare")');
  await page.waitForSelector('td:has-text("hyperparameters.epochs")');
  await page.click('button[aria-label="Make live: first@1"]');
  await page.waitForSelector('dd:has-text("version 1")');
  await look('adapter');

  await open('playground');
  await page.selectOption('[name=kind]', 'classification');
  await page.selectOption('[name=adapter-0]', 'first');
  await page.selectOption('[name=adapter-1]', 'first@2');
  await page.fill('[name=text]', 'a wonderful film, moving and warm');
  await page.click('button:has-text("Answer")');
  await page.waitForFunction(() => document.querySelectorAll('.answer meter').length === 4);
  const answers = () => page.evaluate(() => [...document.querySelectorAll('.answer')].map((a) => a.querySelector('div').textContent));
  const [one, two] = await answers();
  must(one !== two, 'two versions answer differently');
  await look('playground');
  await page.goto(`${address}/#/adapter/first`);
  await page.click('button[aria-label="Make live: first@2"]');
  await page.waitForSelector('dd:has-text("version 2")');
  await open('playground');
  await page.selectOption('[name=kind]', 'classification');
  await page.selectOption('[name=adapter-0]', 'first');
  await page.fill('[name=text]', 'a wonderful film, moving and warm');
  await page.click('button:has-text("Answer")');
  await page.waitForFunction(() => document.querySelectorAll('.answer meter').length === 2);
  must((await answers())[0] === two, 'what was promoted answers');

  await open('playground');
  await page.selectOption('[name=base]', writer);
  await page.fill('[name=system]', 'You answer in one word.');
  await page.fill('[name=text]', 'What is the colour of the sky?');
  await page.fill('[name=tokens]', '24');
  await page.click('button:has-text("Answer")');
  await page.waitForFunction(() => document.querySelector('.answer pre')?.textContent.length > 0);
  await page.waitForSelector('.answer p:has-text("tokens, first after")');
  await look('chat');
  await page.fill('[name=tokens]', '2000');
  await page.click('button:has-text("Answer")');
  await page.waitForFunction(() => document.querySelector('.answer pre')?.textContent.length > 0);
  await page.click('button:has-text("Stop")');
  await page.waitForSelector('.answer p:has-text("Stopped.")');

  await trainOne('endless', 5000);
  await page.waitForSelector('.state:has-text("RUNNING")');
  await page.click('button:has-text("Pause")');
  await page.waitForSelector('.state:has-text("PAUSED")');
  await page.click('button:has-text("Resume")');
  await page.waitForSelector('button:has-text("Pause")');
  await page.click('button:has-text("Cancel")');
  await page.waitForSelector('.state:has-text("CANCELLED")');
  await open('jobs');
  await look('jobs');
  await open('datasets');
  await page.click('button[aria-label="Check reviews.csv"]');
  await page.waitForSelector('table caption:has-text("Parts of the data")');
  await look('datasets');
  await open('workers');
  await page.waitForSelector('meter');
  await look('workers');
  await browser.close();
  must(faults.length === 0, `no fault of console, network or accessibility:\n${faults.join('\n')}`);
}

main().catch((error) => { console.error(error.message, faults.join('\n')); process.exit(1); });
