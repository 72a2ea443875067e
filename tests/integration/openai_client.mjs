// What the unchanged npm package `openai` does against graft: run by openai_test.py. Arguments: the API's address, the folder whose
// node_modules has the package. The last line printed is "ok".
import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import {join} from 'node:path';

const [address, modules] = process.argv.slice(2);
const OpenAI = createRequire(join(modules, 'package.json'))('openai').default;
const client = new OpenAI({baseURL: `${address}/v1`, apiKey: 'none', maxRetries: 20, timeout: 120000});
const messages = [{role: 'user', content: 'Say hi'}];

const models = [];
for await (const model of client.models.list()) models.push(model.id);
assert(models.includes('smollm2'), models.join());

const whole = await client.chat.completions.create({model: 'smollm2', messages, max_completion_tokens: 8});
let text = '';
for await (const chunk of await client.chat.completions.create({model: 'smollm2', messages, max_completion_tokens: 8, stream: true}))
  text += chunk.choices[0]?.delta?.content ?? '';
assert.equal(text, whole.choices[0].message.content);

const continued = await client.completions.create({model: 'smollm2', prompt: 'The capital of France is', max_tokens: 3});
assert.equal(continued.usage.completion_tokens, 3);
const embedded = await client.embeddings.create({model: 'minilm', input: ['a cat', 'a dog']});
assert.equal(embedded.data[1].embedding.length, 384);

const line = JSON.stringify({messages: [...messages, {role: 'assistant', content: 'Hello'}]});
const file = await client.files.create({file: new File([`${line}\n${line}\n`], 'node.jsonl'), purpose: 'fine-tune'});
assert.equal((await client.files.retrieve(file.id)).filename, 'node.jsonl');
assert.equal(await (await client.files.content(file.id)).text(), `${line}\n${line}\n`);
const job = await client.fineTuning.jobs.create({model: 'smollm2', training_file: file.id, suffix: 'from-node',
  method: {type: 'supervised', supervised: {hyperparameters: {n_epochs: 1}}}});
let now = job;
while (!['succeeded', 'failed', 'cancelled'].includes(now.status)) now = await client.fineTuning.jobs.retrieve(job.id);
assert.equal(now.fine_tuned_model, 'from-node@1');
const events = [];
for await (const event of client.fineTuning.jobs.listEvents(job.id)) events.push(event.message);
assert(events.some((message) => message.includes('from-node@1')), events.join());
await client.files.delete(file.id);

await assert.rejects(client.chat.completions.create({model: 'nobody', messages}, {maxRetries: 0}),
  (error) => error instanceof OpenAI.NotFoundError && error.code === 'model_not_found' && error.param === 'model');
console.log('ok');
