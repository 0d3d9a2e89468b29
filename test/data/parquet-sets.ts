/** Sets in Parquet, written here. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { readX2xRft } from '../../src/data/corl-sets';
import { readMmmu } from '../../src/data/mmmu';
import { readSubjects200K } from '../../src/data/subjects200k';
import { type Breakage, bombBytes, pngBytes, type SmallSet } from './broken-sets';

// ES modules only, and needed synchronously: the tests' entry awaits them.
let writeParquet: (
  file: string,
  schema: readonly object[],
  columns: Readonly<Record<string, unknown[]>>,
) => void = () => {
  throw new Error('loadParquetWriter was not awaited');
};
export async function loadParquetWriter(): Promise<void> {
  const { parquetWriteBuffer } = await import('hyparquet-writer');
  writeParquet = (file, schema, columns) => {
    mkdirSync(path.dirname(file), { recursive: true });
    const columnData = Object.entries(columns).map(([name, data]) => ({ name, data }));
    writeFileSync(
      file,
      Buffer.from(parquetWriteBuffer({ schema: schema as never, columnData, rowGroupSize: 1, codec: 'UNCOMPRESSED' })),
    );
  };
}

const spoilt = /not UTF-8 text/;
export const text = (name: string) => ({
  name,
  type: 'BYTE_ARRAY',
  converted_type: 'UTF8',
  repetition_type: 'OPTIONAL',
});
export const integer = (name: string) => ({ name, type: 'INT64', repetition_type: 'OPTIONAL' });
export const struct = (name: string, ...children: object[]) => [
  { name, num_children: children.length, repetition_type: 'OPTIONAL' },
  ...children,
];
export const image = (name: string) =>
  struct(name, { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' }, text('path'));
export const root = (num_children: number) => ({ name: 'schema', num_children });
export const picture = (bytes: Uint8Array = pngBytes) => ({ bytes: new Uint8Array(bytes), path: 'a.png' });

export type Columns = Record<string, unknown[]>;

/** A Parquet set; a variant changes the columns before they are written, or the bytes after. */
export function parquetSet(
  name: string,
  read: SmallSet['read'],
  schema: readonly object[],
  columns: () => Columns,
  first: SmallSet['first'],
  imageColumn: string,
  textColumn: string,
  variants: Readonly<Partial<Record<keyof SmallSet['broken'], readonly [(columns: Columns) => void, RegExp]>>>,
): SmallSet {
  const write = (folder: string, change: (columns: Columns) => void = () => undefined) => {
    const data = columns();
    change(data);
    writeParquet(path.join(folder, 'data.parquet'), schema, data);
  };
  const changed = ([change, says]: readonly [(columns: Columns) => void, RegExp], left = 2): Breakage => ({
    change: (folder) => write(folder, change),
    says,
    left,
  });
  const set = (column: string, value: unknown) => (data: Columns) => void (data[column][1] = value);
  const bytes = (change: (bytes: Buffer) => Buffer, says: RegExp, left: number): Breakage => ({
    change: (folder) => {
      const file = path.join(folder, 'data.parquet');
      writeFileSync(file, change(readFileSync(file)));
    },
    says,
    left,
  });
  return {
    name,
    count: 3,
    write: (folder) => write(folder),
    read,
    first,
    broken: {
      'missing image': changed(
        [set(imageColumn, null), new RegExp(`field '${imageColumn === 'image_1' ? 'images' : imageColumn}|no image`)],
        imageColumn === 'image_1' ? 3 : 2,
      ),
      'truncated file': bytes((all) => all.subarray(0, all.length - 20), /is no Parquet file/, 0),
      'empty concept': changed([set(textColumn, ''), /at least 1/]),
      'path traversal': changed([
        set(imageColumn, { bytes: new Uint8Array([1, 2, 3]), path: '../../x.png' }),
        /it is no image/,
      ]),
      'decompression bomb': changed([set(imageColumn, picture(bombBytes)), /60000 x 60000 pixels/]),
      'wrong encoding': bytes(
        (all) => Buffer.from(all.toString('latin1').replaceAll('spoil', 'sp\xe9il'), 'latin1'),
        spoilt,
        2,
      ),
      'mixed separators': bytes((all) => damaged(all), /the rows cannot be read|no image|should be|not UTF-8/, 2),
      ...Object.fromEntries(Object.entries(variants).map(([variant, change]) => [variant, changed(change)])),
    } as SmallSet['broken'],
  };
}

/** The second row group's first page header, overwritten. */
export function damaged(bytes: Buffer): Buffer {
  const out = Buffer.from(bytes);
  const at = out.indexOf(Buffer.from('damage'));
  if (at < 0) throw new Error('there is nothing to damage');
  out.fill(0xff, at - 24, at + 6);
  return out;
}

export const mmmu = parquetSet(
  'MMMU',
  (folder) => readMmmu(path.join(folder, 'data.parquet')),
  [
    root(8),
    ...['id', 'question', 'options', 'answer', 'question_type', 'subfield'].map(text),
    ...image('image_1'),
    ...image('image_2'),
  ],
  () => ({
    id: ['validation_Art_1', 'damage_Art_2', 'validation_Art_3'],
    question: ['What is <image 1>?', 'spoil <image 1>', 'How many?'],
    options: ["['a cat', \"a dog's\"]", "['1', '2', '3']", '[]'],
    answer: ['B', 'A', '4'],
    question_type: ['multiple-choice', 'multiple-choice', 'open'],
    subfield: ['Painting', null, 'Painting'],
    image_1: [picture(), picture(), picture()],
    image_2: [picture(), null, null],
  }),
  {
    id: 'validation_Art_1',
    question: 'What is <image 1>?',
    answer: 'B',
    choices: { A: 'a cat', B: "a dog's" },
    category: 'Painting',
  },
  'image_1',
  'question',
  {
    'wrong field type': [(data) => (data.options[1] = 'no list'), /'options' should be a list/],
    'duplicate id': [(data) => (data.id[1] = 'validation_Art_1'), /was there before, at row 0/],
    'negative count': [(data) => (data.answer[1] = '-1'), /'answer' should be one of A, B, C, got '-1'/],
    'missing image': [(data) => (data.image_1[1] = { bytes: null, path: 'x' }), /'images\[0\].bytes'/],
  },
);

export const marks = ['compositeStructure', 'objectConsistency', 'imageQuality'];
export const subjects = parquetSet(
  'Subjects200K',
  (folder) => readSubjects200K(path.join(folder, 'data.parquet')),
  [
    root(4),
    ...image('image'),
    text('collection'),
    ...struct('quality_assessment', ...marks.map(integer)),
    ...struct('description', ...['item', 'description_0', 'description_1'].map(text)),
  ],
  () => ({
    image: [picture(), picture(), picture()],
    collection: ['collection_1', 'damage_1', 'collection_1'],
    quality_assessment: [0, 1, 2].map(() => ({ compositeStructure: 5n, objectConsistency: 4n, imageQuality: 5n })),
    description: ['teapot', 'spoil', 'lamp'].map((item) => ({
      item,
      description_0: `${item} at sea`,
      description_1: `${item} at home`,
    })),
  }),
  { id: 'collection_1, row 0', subject: 'teapot', captions: ['teapot at sea', 'teapot at home'] },
  'image',
  'collection',
  {
    'empty concept': [
      (data) => (data.description[1] = { item: '', description_0: 'a', description_1: 'b' }),
      /'description.item' should be/,
    ],
    'wrong field type': [(data) => (data.description[1] = null), /'description' should be an object/],
    'duplicate id': [
      (data) => (data.description[1] = { item: 'x', description_0: null, description_1: 'b' }),
      /'description.description_0' should be a text/,
    ],
    'negative count': [
      (data) => (data.quality_assessment[1] = { compositeStructure: -1n, objectConsistency: 4n, imageQuality: 5n }),
      /at least 0/,
    ],
  },
);

export const x2x = parquetSet(
  'x2x_rft as Parquet',
  (folder) => readX2xRft(path.join(folder, 'data.parquet')),
  [root(5), ...image('real_image'), ...['prompt', 'qa_problem', 'qa_solution', 'qa_type'].map(text)],
  () => ({
    real_image: [picture(), picture(), picture()],
    prompt: ['a cat', 'damage', 'a bird'],
    qa_problem: ['Which animal?', 'spoil', 'Which?'],
    qa_solution: ['cat', 'dog', 'bird'],
    qa_type: ['open', 'open', 'open'],
  }),
  { id: 'row 0', prompt: 'a cat', question: 'Which animal?', answer: 'cat', questionType: 'open' },
  'real_image',
  'prompt',
  {
    'wrong field type': [(data) => (data.qa_solution[1] = null), /'qa_solution' should be a text/],
    'duplicate id': [(data) => (data.prompt[1] = null), /'prompt' should be a text/],
    'negative count': [(data) => (data.qa_type[1] = null), /'qa_type' should be a text/],
  },
);
