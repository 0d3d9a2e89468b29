/** UnifyBench++ on disk: questions, concepts, prompts of generation. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { readUnifyConcepts, readUnifyPrompts, readUnifyQuestions } from '../../src/data/unify-bench';
import { put, putJson, replaceIn, type SmallSet } from './broken-sets';
import { edits, png, noText, twice, outside, spoilt, slashes, tooFew } from './set-edits';

export const unify = 'test_data/bo.json';
export const unifyFiles = (folder: string) => {
  for (const name of ['bo', 'mam']) {
    png(folder, `concept/train/${name}/0.png`, `concept/train/${name}/1.png`, `concept/test/${name}/0.png`);
    putJson(folder, `concept/train/${name}/info.json`, {
      class: 'dog',
      info: 'a small dog',
      extra_info: [`<${name}> wears a red cap`, `<${name}> lives by the sea`],
      conversation_type: 'animal',
      generation_type: 'live_subject',
      num_testing_info: 1,
    });
    putJson(folder, `concept/train/${name}/train_images.json`, ['0.png', '1.png']);
    const item = (type: string, asked: string, value: string) => ({
      type,
      image: `concept/test/${name}/0.png`,
      conversations: [
        { from: 'human', value: `<image>\n${asked}` },
        { from: 'gpt', value },
      ],
    });
    putJson(folder, `test_data/${name}.json`, [
      item('rec', `Is <${name}> here?`, 'Yes.'),
      item('vqa', `What is <${name}> doing?`, 'It sleeps.'),
      item('text_only', `Where does <${name}> live?`, 'By the sea.'),
    ]);
    putJson(folder, `concept/test/${name}/t2i_conditions.json`, {
      personalized_driven_generation: [`a photo of <${name}> in its cap`],
      dense_prompt_generation: [`a photo of <${name}>, on a beach, at dusk`],
    });
  }
};

export const unifyQuestions: SmallSet = {
  name: 'UnifyBench questions',
  count: 6,
  write: unifyFiles,
  read: readUnifyQuestions,
  first: { concept: 'bo', kind: 'rec', question: 'Is <bo> here?', answer: 'Yes.' },
  broken: {
    ...edits(
      unify,
      'concept/test/bo/0.png',
      {
        'wrong field type': ['"It sleeps."', '5', noText, 5],
        'duplicate id': ['What is <bo> doing?', 'Is <bo> here?', twice, 5],
        'path traversal': ['concept/test/bo/0.png', '../secret.png', outside, 5],
        'wrong encoding': ['It sleeps.', 'It sle\xe9ps.', spoilt, 5],
        'negative count': ['"type": "vqa"', '"type": -1', /field 'type'/, 5],
        'mixed separators': ['concept/test/bo/0.png', 'concept\\\\test/bo/0.png', slashes, 5],
        'empty concept': ['"It sleeps."', '" "', tooFew, 5],
      },
      [20, /not JSON|breaks off/, 5],
      4,
    ),
  },
};

export const unifyConcepts: SmallSet = {
  name: 'UnifyBench++ concepts',
  count: 2,
  write: unifyFiles,
  read: readUnifyConcepts,
  first: { id: 'bo', class: 'dog', facts: ['<bo> wears a red cap', '<bo> lives by the sea'], testingFacts: 1 },
  broken: {
    ...edits(
      'concept/train/bo/info.json',
      'concept/train/bo/1.png',
      {
        'wrong field type': ['"dog"', '5', noText, 1],
        'wrong encoding': ['a small dog', 'a sm\xe9ll dog', spoilt, 1],
        'negative count': ['"num_testing_info": 1', '"num_testing_info": -1', tooFew, 1],
      },
      [30, /not JSON|breaks off/, 1],
      1,
    ),
    'duplicate id': {
      change: (folder) =>
        replaceIn(folder, 'concept/train/bo/info.json', '"num_testing_info": 1', '"num_testing_info": 3'),
      says: /'num_testing_info' should be a whole number from 0 to 2/,
      left: 1,
    },
    'empty concept': {
      change: (folder) => putJson(folder, 'concept/train/bo/train_images.json', []),
      says: /'train_images' should be/,
      left: 1,
    },
    'path traversal': {
      change: (folder) => putJson(folder, 'concept/train/bo/train_images.json', ['../../../../secret.png']),
      says: outside,
      left: 1,
    },
    'mixed separators': {
      change: (folder) => putJson(folder, 'concept/train/bo/train_images.json', ['a\\0.png']),
      says: slashes,
      left: 1,
    },
  },
};

export const conditions = 'concept/test/bo/t2i_conditions.json';
export const unifyPrompts: SmallSet = {
  name: 'UnifyBench prompts',
  count: 4,
  write: unifyFiles,
  read: readUnifyPrompts,
  first: { concept: 'bo', kind: 'personalized_driven_generation', prompt: 'a photo of <bo> in its cap' },
  broken: {
    ...edits(
      conditions,
      undefined,
      {
        'wrong field type': ['"a photo of <bo> in its cap"', '5', noText, 3],
        'empty concept': ['"a photo of <bo> in its cap"', '" "', tooFew, 3],
        'wrong encoding': ['in its cap', 'in its c\xe9p', spoilt, 3],
        'negative count': ['"a photo of <bo> in its cap"', '-1', noText, 3],
        'duplicate id': ['"dense_prompt_generation"', '"dense_prompts"', /dense_prompts|Unrecognized|should be/, 3],
      },
      [4, /not JSON|breaks off/, 3],
      3,
    ),
    'missing image': {
      change: (folder) => rmSync(path.join(folder, conditions)),
      says: /the file is missing/,
      left: 2,
    },
    'decompression bomb': {
      change: (folder) => put(folder, conditions, Buffer.alloc(1 << 20, '{"a":')),
      says: /not JSON|breaks off/,
      left: 2,
    },
    'path traversal': {
      change: (folder) => put(folder, conditions, '../../x'),
      says: /should be a JSON object/,
      left: 2,
    },
    'mixed separators': { change: (folder) => replaceIn(folder, conditions, '],', '];'), says: /not JSON/, left: 2 },
  },
};
