/**
 * The files of a concept in the layout of UnifyBench and UnifyBench++, as schemas: one for those who learn a concept
 * (`concept-files`, whole files) and for those who evaluate (`unify-bench`, item by item).
 */
import { existsSync, readFileSync } from 'node:fs';
import * as z from 'zod';
import { sentence } from './items';

const text = z.string().trim().min(1);

/** `concept/train/NAME/info.json`. UnifyBench has no facts; files of both hold the count as a number or as a text. */
export const conceptInfo = z
  .object({
    /** Class word. */
    class: text,
    /** What it looks like. */
    info: z.string(),
    /** Facts; the last `num_testing_info` are for testing. */
    extra_info: z.array(text).default([]),
    conversation_type: z.string().default(''),
    /** `live_subject` or `object`. */
    generation_type: z.string().default(''),
    num_testing_info: z.coerce.number<string | number>().int().min(0).default(0),
  })
  .superRefine((info, context) => {
    const { num_testing_info: testing, extra_info: facts } = info;
    if (testing > facts.length)
      context.addIssue({
        code: 'custom',
        path: ['num_testing_info'],
        message: `should be a whole number from 0 to ${facts.length}, the number of facts`,
        input: testing,
      });
  });
export type ConceptInfo = z.output<typeof conceptInfo>;

/** `concept/train/NAME/conversations.json`: questions by image file. */
export const conceptConversations = z.record(z.string(), z.array(z.object({ query: z.string(), answer: z.string() })));
export type ConceptConversations = Readonly<z.output<typeof conceptConversations>>;

/** An item of `test_data/NAME.json`: a question (`human`) and its answer (`gpt`); the image is a path from the root. */
export const conceptTestItem = z.object({
  type: z.enum(['rec', 'vqa', 'text_only']),
  image: z.string(),
  conversations: z.array(z.object({ from: z.string().optional(), value: text })).min(2),
});
export type ConceptTestItem = z.output<typeof conceptTestItem>;

export const CONDITION_KEYS = [
  'personalized_driven_generation',
  'explicit_personalized_driven_generation',
  'dense_prompt_generation',
  'explicit_dense_prompt_generation',
  'personalized_dense_prompt_generation',
  'explicit_personalized_dense_prompt_generation',
] as const;
export type ConditionKey = (typeof CONDITION_KEYS)[number];

/** Prompts of one kind. */
export const conceptPrompts = z.array(text);

/** `concept/test/NAME/t2i_conditions.json`; the explicit twin of a prompt stands at the same place and needs no fact. */
export const conceptConditions = z
  .object(
    Object.fromEntries(CONDITION_KEYS.map((key) => [key, conceptPrompts])) as Record<
      ConditionKey,
      typeof conceptPrompts
    >,
  )
  .partial({ explicit_dense_prompt_generation: true })
  // Published files lack the explicit twin of prompts that need no fact: it is the prompt itself.
  .transform((found) => ({ explicit_dense_prompt_generation: found.dense_prompt_generation, ...found }))
  .superRefine((found, context) => {
    for (const key of CONDITION_KEYS) {
      const twin = `explicit_${key}`;
      if (!isConditionKey(twin) || found[twin].length === found[key].length) continue;
      const message = `has ${found[twin].length} prompts, '${key}' has ${found[key].length}: they should match one to one`;
      context.addIssue({ code: 'custom', path: [twin], message, input: found[twin] });
    }
  });
export type ConceptConditions = Readonly<Record<ConditionKey, readonly string[]>>;

function isConditionKey(name: string): name is ConditionKey {
  return (CONDITION_KEYS as readonly string[]).includes(name);
}

/** A file of a concept that is missing or not as expected. */
export class ConceptFileError extends Error {
  override readonly name = 'ConceptFileError';
}

/** Reads and checks a whole JSON file. @throws ConceptFileError naming file and field */
export function readConceptFile<S extends z.ZodType>(file: string, schema: S): z.output<S> {
  if (!existsSync(file)) throw new ConceptFileError(`${file}: the file is missing`);
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new ConceptFileError(`${file}: not valid JSON (${(error as Error).message})`);
  }
  const found = schema.safeParse(json);
  if (!found.success) throw new ConceptFileError(`${file}: ${sentence(found.error, json)}`);
  return found.data;
}
