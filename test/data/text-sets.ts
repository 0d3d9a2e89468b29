/** Sets whose files are JSON, lines or folders. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { readCocoCaptions } from '../../src/data/coco-captions';
import { readMcotR1, readX2xRft } from '../../src/data/corl-sets';
import { readDreamBenchPlus } from '../../src/data/dreambench-plus';
import { readKontextBench } from '../../src/data/kontext-bench';
import { readMcLlava } from '../../src/data/mc-llava';
import { readUnifyConcepts, readUnifyPrompts, readUnifyQuestions } from '../../src/data/unify-bench';
import { readUnison } from '../../src/data/unison';
import { readWise } from '../../src/data/wise';
import { readYoLlava } from '../../src/data/yollava';
import { type Breakage, bombBytes, cut, pngBytes, put, putJson, replaceIn, type SmallSet, type Variant } from './broken-sets';

type Edit = readonly [from: string, to: string];

/** Variants by editing one file's text; those about images by changing one image. */
function edits(
  file: string,
  image: string | undefined,
  changes: Readonly<Partial<Record<Variant, readonly [...Edit, RegExp, number]>>>,
  cutting: readonly [bytes: number, RegExp, number],
  left: number,
): Record<Variant, Breakage> {
  const edited = Object.entries(changes).map(([variant, [from, to, says, rest]]) => [
    variant,
    { change: (folder: string) => replaceIn(folder, file, from, to), says, left: rest },
  ]);
  return {
    'missing image': { change: (folder) => rmSync(path.join(folder, image ?? '')), says: /there is no image|no test images/, left },
    'decompression bomb': { change: (folder) => put(folder, image ?? '', bombBytes), says: /60000 x 60000 pixels, more than/, left },
    'truncated file': { change: (folder) => cut(folder, file, cutting[0]), says: cutting[1], left: cutting[2] },
    ...Object.fromEntries(edited),
  } as Record<Variant, Breakage>;
}

const png = (folder: string, ...names: string[]) => names.forEach((name) => put(folder, name, pngBytes));
const noText = /should be a text/;
const twice = /was there before/;
const outside = /leads out of the folder/;
const spoilt = /not UTF-8 text/;
const slashes = /instead of '\/'/;
const tooFew = /at least/;

const yollavaFile = 'yollava-visual-qa.json';
const yollava: SmallSet = {
  name: "Yo'LLaVA",
  count: 3,
  write(folder) {
    const qa = (color: string) => ({ question: `Which color is <sks> ${color}?`, options: { A: 'Brown', B: 'Grey' }, correct_answer: 'A' });
    png(folder, 'yollava-data/test/bo/0.png', 'yollava-data/test/bo/1.png', 'yollava-data/test/mam/0.png');
    putJson(folder, yollavaFile, {
      bo: { './yollava-data/test/bo/0.png': qa('one'), './yollava-data/test/bo/1.png': qa('two') },
      mam: { './yollava-data/test/mam/0.png': qa('three') },
    });
  },
  read: readYoLlava,
  first: { concept: 'bo', question: 'Which color is <sks> one?', answer: 'A', choices: { A: 'Brown', B: 'Grey' } },
  broken: edits(
    yollavaFile,
    'yollava-data/test/bo/1.png',
    {
      'wrong field type': ['"Which color is <sks> two?"', '5', noText, 2],
      'duplicate id': ['./yollava-data/test/mam/0.png', './yollava-data/test/bo/1.png', twice, 2],
      'empty concept': ['"mam": {', '"none": {}, "mam": {', /concept 'none': it has no images/, 3],
      'path traversal': ['./yollava-data/test/bo/1.png', '../../../etc/passwd', outside, 2],
      'wrong encoding': ['<sks> two', '<sks> \xe9two', spoilt, 2],
      'negative count': ['"correct_answer": "A"', '"correct_answer": -1', /correct_answer/, 2],
      'mixed separators': ['./yollava-data/test/bo/1.png', 'yollava-data\\\\test\\\\bo\\\\1.png', slashes, 2],
    },
    [40, /not JSON|breaks off/, 2],
    2,
  ),
};

const mcTest = 'animals/concept/test';
const mcLlava: SmallSet = {
  name: 'MC-LLaVA',
  count: 8,
  write(folder) {
    putJson(folder, 'concept_type.json', { bafan: 'animals', milo: 'animals' });
    for (const name of ['bafan', 'milo']) {
      png(folder, `${mcTest}/${name}/0.png`);
      const about = (Human: string, AI: string) => ({ [`/authors/${name}/0.png`]: { Human, AI } });
      putJson(folder, `${mcTest}/${name}/vqa.json`, about(`What does <${name}> do?`, 'It sleeps.'));
      putJson(folder, `${mcTest}/${name}/choice.json`, about('Where is it? A. here B. there', 'A'));
      putJson(folder, `${mcTest}/${name}/qa.json`, [{ question: 'Which color? A. red B. blue', answer: 'B' }]);
    }
  },
  read: readMcLlava,
  first: { concept: 'bafan', kind: 'rec', answer: 'Yes' },
  broken: {
    ...edits(
      `${mcTest}/milo/vqa.json`,
      `${mcTest}/milo/0.png`,
      {
        'wrong field type': ['"It sleeps."', '5', noText, 7],
        'duplicate id': ['"/authors/milo/0.png": {', '"/authors/milo/0.png": {"Human": "x", "AI": "y"}, "/other/0.png": {', twice, 8],
        'path traversal': ['/authors/milo/0.png', '/authors/..', /leads out|no image/, 7],
        'wrong encoding': ['It sleeps.', 'It sle\xe9ps.', spoilt, 7],
        'mixed separators': ['/authors/milo/0.png', 'authors\\\\milo\\\\0.png', slashes, 7],
      },
      [6, /not JSON|breaks off/, 7],
      5,
    ),
    'missing image': {
      change: (folder) => rmSync(path.join(folder, mcTest, 'milo/0.png')),
      says: /concept 'milo': there are no test images/,
      left: 5,
    },
    'negative count': {
      change: (folder) => replaceIn(folder, `${mcTest}/milo/qa.json`, '"B"', '-1'),
      says: noText,
      left: 7,
    },
    'empty concept': {
      change: (folder) => replaceIn(folder, 'concept_type.json', '"bafan"', '"nobody"'),
      says: /concept 'nobody': there are no test images/,
      left: 4,
    },
  },
};

const unify = 'test_data/bo.json';
const unifyFiles = (folder: string) => {
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
      conversations: [{ from: 'human', value: `<image>\n${asked}` }, { from: 'gpt', value }],
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

const unifyQuestions: SmallSet = {
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

const unifyConcepts: SmallSet = {
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
      change: (folder) => replaceIn(folder, 'concept/train/bo/info.json', '"num_testing_info": 1', '"num_testing_info": 3'),
      says: /'num_testing_info' is 3, but there are 2 facts/,
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

const conditions = 'concept/test/bo/t2i_conditions.json';
const unifyPrompts: SmallSet = {
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
    'missing image': { change: (folder) => rmSync(path.join(folder, conditions)), says: /the file is missing/, left: 2 },
    'decompression bomb': { change: (folder) => put(folder, conditions, Buffer.alloc(1 << 20, '{"a":')), says: /not JSON|breaks off/, left: 2 },
    'path traversal': { change: (folder) => put(folder, conditions, '../../x'), says: /should be a JSON object/, left: 2 },
    'mixed separators': { change: (folder) => replaceIn(folder, conditions, '],', '];'), says: /not JSON/, left: 2 },
  },
};

const captions = 'captions/animal/01.txt';
const dreamBenchPlus: SmallSet = {
  name: 'DreamBench++',
  count: 3,
  write(folder) {
    for (const [i, id] of ['animal/00', 'animal/01', 'style/00'].entries()) {
      png(folder, `images/${id}.jpg`);
      put(folder, `captions/${id}.txt`, `subject ${i}\na subject ${i} in a wood\na subject ${i} at sea\n`);
    }
  },
  read: readDreamBenchPlus,
  first: { id: 'animal/00', category: 'animal', subject: 'subject 0', prompts: ['a subject 0 in a wood', 'a subject 0 at sea'] },
  broken: {
    ...edits(
      captions,
      'images/animal/01.jpg',
      {
        'wrong encoding': ['in a wood', 'in a w\xe9od', spoilt, 2],
      },
      [42, /'prompts' should be/, 2],
      2,
    ),
    'wrong field type': { change: (folder) => put(folder, captions, Buffer.from('\ufeffsubject', 'utf16le')), says: /UTF-16/, left: 2 },
    'duplicate id': { change: (folder) => put(folder, 'images/animal/01.jpg', 'no image'), says: /is no image/, left: 2 },
    'empty concept': { change: (folder) => put(folder, captions, '\n\n'), says: /'subject' should be/, left: 2 },
    'path traversal': { change: (folder) => put(folder, 'captions/../captions/other/9.txt', 'cat\na cat'), says: /there is no image/, left: 3 },
    'negative count': { change: (folder) => put(folder, captions, 'subject only\n'), says: /'prompts' should be/, left: 2 },
    'mixed separators': { change: (folder) => put(folder, 'captions/a\\b/01.txt', 'cat\na cat'), says: slashes, left: 3 },
  },
};

const kontext: SmallSet = {
  name: 'Kontext-Bench',
  count: 3,
  write(folder) {
    png(folder, 'images/0.jpg', 'images/1.jpg', 'images/2.jpg');
    const lines = [0, 1, 2].map((key) => ({ file_name: `images/${key}.jpg`, instruction: `draw it ${key}`, category: 'Character Reference', key }));
    put(folder, 'metadata.jsonl', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  },
  read: (folder) => readKontextBench(folder, 'Character Reference'),
  first: { id: '0', instruction: 'draw it 0', category: 'Character Reference' },
  broken: edits(
    'metadata.jsonl',
    'images/1.jpg',
    {
      'wrong field type': ['"draw it 1"', '5', noText, 2],
      'duplicate id': ['"key":2', '"key":1', twice, 2],
      'empty concept': ['"draw it 1"', '""', tooFew, 2],
      'path traversal': ['images/1.jpg', 'images/../../1.jpg', outside, 2],
      'wrong encoding': ['draw it 1', 'dr\xe9w it 1', spoilt, 2],
      'negative count': ['"key":1', '"key":-1', tooFew, 2],
      'mixed separators': ['images/1.jpg', 'images\\\\1.jpg', slashes, 2],
    },
    [9, /not JSON/, 2],
    2,
  ),
};

const x2x: SmallSet = {
  name: 'x2x_rft as JSON lines',
  count: 3,
  write(folder) {
    png(folder, 'images/0.png', 'images/1.png', 'images/2.png');
    const lines = [0, 1, 2].map((i) => ({ real_image: `images/${i}.png`, prompt: `a cat ${i}`, qa_problem: `How many ${i}?`, qa_solution: `${i}`, qa_type: 'open' }));
    put(folder, 'train.jsonl', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  },
  read: (folder) => readX2xRft(path.join(folder, 'train.jsonl')),
  first: { id: 'line 1', prompt: 'a cat 0', question: 'How many 0?', answer: '0', questionType: 'open' },
  broken: edits(
    'train.jsonl',
    'images/1.png',
    {
      'wrong field type': ['"a cat 1"', '5', noText, 2],
      'duplicate id': ['"qa_solution":"1"', '"qa_solution":["1","1"]', noText, 2],
      'empty concept': ['"a cat 1"', '" "', tooFew, 2],
      'path traversal': ['images/1.png', '/etc/passwd', /is an absolute path/, 2],
      'wrong encoding': ['a cat 1', 'a c\xe9t 1', spoilt, 2],
      'negative count': ['"qa_type":"open"},', '"qa_type":-1},', noText, 2],
      'mixed separators': ['images/1.png', 'images\\\\1.png', slashes, 2],
    },
    [9, /not JSON/, 2],
    2,
  ),
};
(x2x.broken as Record<string, Breakage>)['negative count'] = {
  change: (folder) => replaceIn(folder, 'train.jsonl', '"qa_solution":"1"', '"qa_solution":-1'),
  says: noText,
  left: 2,
};

const mcot: SmallSet = {
  name: 'mcot_r1, multiple choice',
  count: 3,
  write(folder) {
    png(folder, '0.png', '1.png', '2.png');
    const lines = [0, 1, 2].map((i) => ({ image: `${i}.png`, problem: `Which? A. ${i} B. none`, solution: i === 0 ? '<answer> A </answer>' : `${'AB'[i - 1]}` }));
    put(folder, 'mcq.jsonl', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  },
  read: (folder) => readMcotR1(path.join(folder, 'mcq.jsonl'), 'mcq'),
  first: { id: 'line 1', question: 'Which? A. 0 B. none', answer: 'A' },
  broken: edits(
    'mcq.jsonl',
    '1.png',
    {
      'wrong field type': ['"Which? A. 1 B. none"', '5', noText, 2],
      'duplicate id': ['"solution":"A"', '"solution":"A or B"', /should be the letter of a choice/, 2],
      'empty concept': ['"Which? A. 1 B. none"', '""', tooFew, 2],
      'path traversal': ['"1.png"', '"../1.png"', outside, 2],
      'wrong encoding': ['A. 1', 'A. \xe9', spoilt, 2],
      'negative count': ['"solution":"A"', '"solution":-1', noText, 2],
      'mixed separators': ['"1.png"', '"a\\\\1.png"', slashes, 2],
    },
    [9, /not JSON/, 2],
    2,
  ),
};

const coco: SmallSet = {
  name: 'COCO captions',
  count: 4,
  write(folder) {
    png(folder, 'val/a.jpg', 'val/b.jpg');
    putJson(folder, 'captions.json', {
      info: { images: 'not this one', annotations: [1, 2] },
      images: [{ id: 7, file_name: 'a.jpg' }, { id: 9, file_name: 'b.jpg' }],
      licenses: [],
      annotations: [
        { image_id: 7, id: 70, caption: 'A cat sleeps, "well".' },
        { image_id: 9, id: 90, caption: 'A dog runs.' },
        { image_id: 7, id: 71, caption: 'A sleeping cat [here]' },
        { image_id: 7, id: 72, caption: 'One {cat}' },
      ],
    });
  },
  read: (folder) => readCocoCaptions(path.join(folder, 'captions.json'), path.join(folder, 'val')),
  first: { id: '70', imageId: 7, caption: 'A cat sleeps, "well".' },
  broken: edits(
    'captions.json',
    'val/b.jpg',
    {
      'wrong field type': ['"A dog runs."', '5', noText, 3],
      'duplicate id': ['"id": 71', '"id": 70', twice, 3],
      'empty concept': ['"A dog runs."', '""', tooFew, 3],
      'path traversal': ['"b.jpg"', '"../../b.jpg"', outside, 3],
      'wrong encoding': ['A dog runs', 'A d\xe9g runs', spoilt, 3],
      'negative count': ['"image_id": 9', '"image_id": -9', tooFew, 3],
      'mixed separators': ['"b.jpg"', '"c\\\\b.jpg"', slashes, 3],
    },
    [14, /not JSON|breaks off/, 3],
    3,
  ),
};

const wise: SmallSet = {
  name: 'WISE',
  count: 4,
  write(folder) {
    const row = (prompt_id: number) => ({ Prompt: `the fruit of ${prompt_id}`, Explanation: 'An apple.', Category: 'Culture', Subcategory: 'Food', prompt_id });
    putJson(folder, 'cultural_common_sense.json', [row(1), row(2)]);
    putJson(folder, 'spatio-temporal_reasoning.json', [row(401)]);
    putJson(folder, 'natural_science.json', [row(901)]);
  },
  read: readWise,
  first: { id: 1, prompt: 'the fruit of 1', explanation: 'An apple.', category: 'Culture' },
  broken: {
    ...edits(
      'cultural_common_sense.json',
      undefined,
      {
        'wrong field type': ['"the fruit of 2"', '5', noText, 3],
        'duplicate id': ['"prompt_id": 2', '"prompt_id": 1', twice, 3],
        'empty concept': ['"the fruit of 2"', '""', tooFew, 3],
        'wrong encoding': ['the fruit of 2', 'the fr\xe9it of 2', spoilt, 3],
        'negative count': ['"prompt_id": 2', '"prompt_id": -2', tooFew, 3],
        'mixed separators': ['"prompt_id": 2', '"prompt_id"; 2', /not JSON/, 3],
        'path traversal': ['"prompt_id": 2', '"prompt_id": "../2"', /a number|a whole number/, 3],
      },
      [10, /not JSON|breaks off/, 3],
      3,
    ),
    'missing image': { change: (folder) => rmSync(path.join(folder, 'natural_science.json')), says: /the file is missing/, left: 3 },
    'decompression bomb': {
      change: (folder) => put(folder, 'natural_science.json', Buffer.alloc(4 << 20, '[')),
      says: /breaks off|not JSON/,
      left: 3,
    },
  },
};

const unisonPart = 'Internal_Consistency';
const unison: SmallSet = {
  name: 'Unison',
  count: 3,
  write(folder) {
    put(folder, `${unisonPart}/prompts.txt`, 'a red cat\na blue dog\ntwo birds\n');
    const questions = [{ question: 'Is it red?', answer: 'Yes' }];
    putJson(folder, `${unisonPart}/questions.json`, { prompt_1: questions, prompt_2: [{ question: 'Is it blue?', answer: 'no' }], prompt_3: questions });
  },
  read: readUnison,
  first: { id: 'prompt_1', prompt: 'a red cat', questions: [{ question: 'Is it red?', answer: 'yes' }] },
  broken: {
    ...edits(
      `${unisonPart}/questions.json`,
      undefined,
      {
        'wrong field type': ['"Is it blue?"', '5', noText, 2],
        'duplicate id': ['"prompt_3"', '"prompt_2"', /it was there before|no questions 'prompt_3'/, 2],
        'empty concept': ['"Is it blue?"', '""', tooFew, 2],
        'wrong encoding': ['Is it blue', 'Is it bl\xe9e', spoilt, 2],
        'negative count': ['"no"', '-1', noText, 2],
        'mixed separators': ['"answer": "no"', '"answer"; "no"', /not JSON/, 2],
        'path traversal': ['"prompt_2"', '"../prompt_2"', /no questions 'prompt_2'/, 2],
      },
      [8, /not JSON|breaks off/, 2],
      2,
    ),
    'missing image': { change: (folder) => rmSync(path.join(folder, unisonPart, 'questions.json')), says: /the file is missing/, left: 0 },
    'decompression bomb': { change: (folder) => put(folder, `${unisonPart}/questions.json`, Buffer.alloc(4 << 20, '{')), says: /breaks off|not JSON/, left: 0 },
  },
};

export const TEXT_SETS: readonly SmallSet[] = [
  yollava,
  mcLlava,
  unifyQuestions,
  unifyConcepts,
  unifyPrompts,
  dreamBenchPlus,
  kontext,
  x2x,
  mcot,
  coco,
  wise,
  unison,
];
