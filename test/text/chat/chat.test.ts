import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readSafetensors, toFloat32 } from '../../../src/io';
import { chameleonConfigFromUpstream } from '../../../src/models/chameleon/config';
import { fillPlaceholders, promptIds } from '../../../src/models/chameleon/layout';
import { chameleonVocabulary } from '../../../src/models/chameleon/vocabulary';
import { janusConfigFromTransformers } from '../../../src/models/janus/upstream/transformers-config';
import { generationIds, understandingIds } from '../../../src/models/janus/layout';
import {
  ChatFormatError,
  type ChatMessage,
  encodePrompt,
  JANUS_SYSTEM,
  luminaRequest,
  promptText,
  renderChameleon,
  renderJanus,
  renderShowo,
  showoAnswer,
  showoQuestion,
} from '../../../src/text';
import { descriptionText, plainText, questionText } from '../../../src/text/chat/janus';

const PARITY = path.join(__dirname, '..', '..', 'parity');
const readJson = (...parts: string[]) =>
  JSON.parse(readFileSync(path.join(PARITY, ...parts), 'utf8')) as Record<string, unknown>;
const about = (text: string): ChatMessage => ({ role: 'user', content: [{ kind: 'image' }, { kind: 'text', text }] });
const user = (content: string): ChatMessage => ({ role: 'user', content });
const assistant = (content: string): ChatMessage => ({ role: 'assistant', content });

/** Words that are numbers: texts whose ids are known. */
const encode = (text: string): number[] => text.trim().split(/\s+/).map(Number);
async function fixture(kind: string) {
  const inputs = await readSafetensors(path.join(PARITY, kind, 'inputs.safetensors'));
  const row = (name: string, at: number) => {
    const length = inputs[name].shape[1];
    return Array.from(toFloat32(inputs[name])).slice(at * length, (at + 1) * length);
  };
  return { row };
}

describe('Show-o', () => {
  test('questions, answers, further questions', () => {
    assert.equal(showoQuestion('What is this?'), 'USER: \nWhat is this? ASSISTANT:');
    assert.deepEqual(renderShowo([about('a?'), assistant('b'), user('c?')]), {
      text: 'USER: \na? ASSISTANT: b<|endoftext|>USER: c? ASSISTANT:',
      image: true,
    });
    assert.deepEqual(renderShowo([{ role: 'system', content: 'S.' }, user('a?'), assistant('b')]), {
      text: 'S. USER: a? ASSISTANT: b<|endoftext|>',
      image: false,
    });
    assert.equal(showoAnswer('USER: \na? ASSISTANT: it is red<|endoftext|>'), 'it is red');
    assert.throws(() => showoAnswer('it is red'), /no 'ASSISTANT:'/);
  });

  test('an image has one place', () => {
    const second = [user('a?'), assistant('b'), about('c?')];
    assert.throws(() => renderShowo(second), /has an image where this template has no place for one/);
    assert.throws(
      () => renderShowo([{ role: 'user', content: [{ kind: 'text', text: 'a' }, { kind: 'image' }] }]),
      ChatFormatError,
    );
  });
});

describe('Janus', () => {
  test('single questions, with and without an image, and descriptions', () => {
    const { before, after } = questionText('What is this?');
    assert.equal(before, `${JANUS_SYSTEM}\n\n<|User|>: `);
    assert.equal(after, '\nWhat is this?\n\n<|Assistant|>:');
    assert.equal(questionText('q', '').before, '<|User|>: ');
    assert.equal(plainText('q'), '<|User|>: q\n\n<|Assistant|>:');
    assert.equal(descriptionText('a red fish'), '<|User|>: a red fish\n\n<|Assistant|>:');
  });

  test('conversations', () => {
    assert.equal(
      promptText(renderJanus([{ role: 'system', content: 'S.' }, about('a?'), assistant('b'), user('c?')])),
      'S.\n\n<|User|>: <image>\na?\n\n<|Assistant|>: b<｜end▁of▁sentence｜><|User|>: c?\n\n<|Assistant|>:',
    );
    assert.equal(
      promptText(renderJanus([user('a'), assistant('b')])),
      '<|User|>: a\n\n<|Assistant|>: b<｜end▁of▁sentence｜>',
    );
  });

  test("in the layout they are the reference's ids", async () => {
    const { row } = await fixture('janus');
    const { boi, eoi } = readJson('janus', 'case.json').special as { boi: number; eoi: number };
    const config = janusConfigFromTransformers(readJson('janus', 'config.json'), 'config.json', {
      given: { boi, eoi },
    });
    const generation = row('gen_prompt_ids', 0);
    assert.deepEqual(generationIds(config, generation.slice(1, -1)), generation);
    // The fixture's ids are the text; where the image stands in it is the layout's and the template's.
    const und = row('und_input_ids', 0);
    const begin = und.indexOf(boi);
    const end = und.indexOf(eoi);
    const words: ChatMessage = {
      role: 'user',
      content: [
        { kind: 'text', text: und.slice(1, begin).join(' ') },
        { kind: 'image' },
        { kind: 'text', text: und.slice(end + 1).join(' ') },
      ],
    };
    const strip = (text: string): string => text.replace(/<\|\w+\|>:/g, ' ');
    const parts = encodePrompt(renderJanus([words]), (text) => encode(strip(text)));
    assert.deepEqual(
      parts.map((part) => part.kind),
      ['text', 'image', 'text'],
    );
    const [before, , after] = parts.map((part) => (part.kind === 'text' ? part.ids : []));
    assert.deepEqual(understandingIds(config, [before, 'image', after]), und);
  });
});

describe('Chameleon', () => {
  for (const kind of ['chameleon', 'chameleon_mp'])
    test(`prompts are the reference's ids: ${kind}`, async () => {
      const { row } = await fixture(kind);
      const config = chameleonConfigFromUpstream(readJson(kind, 'config.json'), 'config.json');
      const v = chameleonVocabulary(config);
      const generation = row('gen_prompt_ids', 0);
      const said = user(generation.slice(1, -2).join(' '));
      assert.deepEqual([...promptIds(config, v, encodePrompt(renderChameleon([said]), encode)), v.boi], generation);

      const input = row('input_ids', 0);
      const codes = Array.from({ length: 16 }, (_, i) => i);
      const begin = input.indexOf(v.boi);
      const end = input.indexOf(v.eoi);
      const content = [
        { kind: 'text', text: input.slice(1, begin).join(' ') },
        { kind: 'image' },
        { kind: 'text', text: input.slice(end + 1).join(' ') },
      ] as const;
      const parts = encodePrompt(renderChameleon([{ role: 'user', content }], { separators: false }), encode);
      assert.deepEqual(promptIds(config, v, parts, [{ codes }]), fillPlaceholders(v, [input], codes)[0]);
      assert.throws(() => promptIds(config, v, parts), /has 1 images, the codes of 0 were given/);
    });

  test('every message is ended, and images are numbered', () => {
    const parts = renderChameleon([about('a?'), assistant('b'), about('c?')]);
    assert.equal(promptText(parts), '<image>a?<separator>b<separator><image>c?<separator>');
    assert.deepEqual(
      parts.flatMap((part) => (part.kind === 'image' ? [part.index] : [])),
      [0, 1],
    );
    assert.equal(
      luminaRequest('a red fish', 768, 512),
      'Generate an image of 768x512 according to the following prompt:\na red fish',
    );
    assert.throws(() => renderChameleon([{ role: 'system', content: 's' }, user('a')]), /has no system text/);
  });
});

test('turns are checked by every template', () => {
  const wrong: [ChatMessage[], RegExp][] = [
    [[], /no message of the user/],
    [[{ role: 'system', content: 's' }], /no message of the user/],
    [[assistant('a')], /message 0 is the assistant's; the user's was expected/],
    [[user('a'), user('b')], /message 1 is the user's; the assistant's was expected/],
    [[user('a'), assistant('b'), { role: 'system', content: 's' }], /message 2 is the system's/],
  ];
  for (const render of [renderShowo, renderJanus, renderChameleon])
    for (const [messages, said] of wrong) assert.throws(() => render(messages), said);
});

test('nothing that is said is lost, whatever it is', () => {
  const text = fc.string({ minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), (said) => {
      const messages = said.map((content, i): ChatMessage => (i % 2 ? assistant(content) : user(content)));
      for (const rendered of [
        renderShowo(messages).text,
        promptText(renderJanus(messages)),
        promptText(renderChameleon(messages)),
      ]) {
        let at = 0;
        for (const content of said) {
          at = rendered.indexOf(content, at);
          assert.ok(at >= 0);
          at += content.length;
        }
      }
    }),
    { numRuns: 50 },
  );
});
