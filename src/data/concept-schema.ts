/** The files of a concept in the layout of UnifyBench++, and checks that name file and field. */
import { existsSync, readFileSync } from 'node:fs';

/** `concept/train/<name>/info.json` */
export interface ConceptInfo {
  /** class word */
  readonly class: string;
  /** what it looks like */
  readonly info: string;
  /** facts; the last `num_testing_info` are for testing */
  readonly extra_info: readonly string[];
  readonly conversation_type: string;
  /** `live_subject` or `object` */
  readonly generation_type: string;
  readonly num_testing_info: number;
}

/** `concept/train/<name>/conversations.json`: questions by image file. */
export type ConceptConversations = Readonly<
  Record<string, readonly { readonly query: string; readonly answer: string }[]>
>;

/** An item of `test_data/<name>.json`. */
export interface ConceptTestItem {
  readonly type: 'rec' | 'vqa' | 'text_only';
  /** path from the root folder */
  readonly image: string;
  /** question (`human`), answer (`gpt`) */
  readonly conversations: readonly { readonly from: string; readonly value: string }[];
}

export const CONDITION_KEYS = [
  'personalized_driven_generation',
  'explicit_personalized_driven_generation',
  'dense_prompt_generation',
  'explicit_dense_prompt_generation',
  'personalized_dense_prompt_generation',
  'explicit_personalized_dense_prompt_generation',
] as const;

/** `concept/test/<name>/t2i_conditions.json`; the explicit twin of a prompt stands at the same place and needs no fact. */
export type ConceptConditions = Readonly<Record<(typeof CONDITION_KEYS)[number], readonly string[]>>;

/** A file of a concept that is missing or not as expected. */
export class ConceptFileError extends Error {
  override readonly name = 'ConceptFileError';
}

const fail = (file: string, what: string): never => {
  throw new ConceptFileError(`${file}: ${what}`);
};

/** Reads JSON. @throws ConceptFileError naming the file */
export function readJson(file: string): unknown {
  if (!existsSync(file)) return fail(file, 'the file is missing');
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as unknown;
  } catch (error) {
    return fail(file, `not valid JSON (${(error as Error).message})`);
  }
}

type Fields = Readonly<Record<string, unknown>>;

function object(file: string, value: unknown, where = 'the file'): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(file, `${where} should be an object`);
  return value as Fields;
}

function text(file: string, fields: Fields, key: string, where = ''): string {
  const value = fields[key];
  if (typeof value !== 'string') fail(file, `field '${where}${key}' should be a text, got ${JSON.stringify(value)}`);
  return value as string;
}

function texts(file: string, value: unknown, key: string): readonly string[] {
  if (!Array.isArray(value) || value.some((v) => typeof v !== 'string')) {
    fail(file, `field '${key}' should be a list of texts, got ${JSON.stringify(value)?.slice(0, 60)}`);
  }
  return value as string[];
}

export function parseInfo(file: string, json: unknown): ConceptInfo {
  const fields = object(file, json);
  const extra = texts(file, fields.extra_info, 'extra_info');
  const testing = Number(fields.num_testing_info); // some files hold it as a text
  if (fields.num_testing_info == null || !Number.isInteger(testing) || testing < 0 || testing > extra.length) {
    fail(
      file,
      `field 'num_testing_info' should be an integer from 0 to ${extra.length}, got ${JSON.stringify(fields.num_testing_info)}`,
    );
  }
  return {
    class: text(file, fields, 'class'),
    info: text(file, fields, 'info'),
    extra_info: extra,
    conversation_type: text(file, fields, 'conversation_type'),
    generation_type: text(file, fields, 'generation_type'),
    num_testing_info: testing,
  };
}

export function parseConversations(file: string, json: unknown): ConceptConversations {
  const fields = object(file, json);
  for (const [image, list] of Object.entries(fields)) {
    if (!Array.isArray(list)) fail(file, `field '${image}' should be a list of {query, answer}`);
    for (const [i, item] of (list as unknown[]).entries()) {
      const turn = object(file, item, `field '${image}[${i}]'`);
      text(file, turn, 'query', `${image}[${i}].`);
      text(file, turn, 'answer', `${image}[${i}].`);
    }
  }
  return fields as ConceptConversations;
}

export function parseConditions(file: string, json: unknown): ConceptConditions {
  const fields = object(file, json);
  // Published files lack the explicit twin of prompts that need no fact: it is the prompt itself.
  const withTwin: Fields = { explicit_dense_prompt_generation: fields.dense_prompt_generation, ...fields };
  const out = Object.fromEntries(CONDITION_KEYS.map((key) => [key, texts(file, withTwin[key], key)]));
  for (const key of CONDITION_KEYS) {
    const twin = `explicit_${key}`;
    if (twin in out && out[twin].length !== out[key].length) {
      fail(
        file,
        `field '${twin}' has ${out[twin].length} prompts, '${key}' has ${out[key].length}; they should match one to one`,
      );
    }
  }
  return out as ConceptConditions;
}

export function parseTestData(file: string, json: unknown): readonly ConceptTestItem[] {
  if (!Array.isArray(json)) fail(file, 'the file should be a list');
  for (const [i, value] of (json as unknown[]).entries()) {
    const item = object(file, value, `item ${i}`);
    const type = text(file, item, 'type', `[${i}].`);
    if (!['rec', 'vqa', 'text_only'].includes(type))
      fail(file, `field '[${i}].type' should be rec, vqa or text_only, got '${type}'`);
    text(file, item, 'image', `[${i}].`);
    const turns = item.conversations;
    if (!Array.isArray(turns) || turns.length < 2)
      fail(file, `field '[${i}].conversations' should hold a question and an answer`);
    for (const [k, turn] of (turns as unknown[]).entries()) {
      text(file, object(file, turn, `field '[${i}].conversations[${k}]'`), 'value', `[${i}].conversations[${k}].`);
    }
  }
  return json as ConceptTestItem[];
}
