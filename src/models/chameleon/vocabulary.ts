/** Chameleon's one vocabulary: where text, special tokens and image codes lie, and the way between codes and ids. */
import { ChameleonConfigError, type ChameleonConfig } from './config';

/** Names of the tokens that every image and conversation needs. */
export const TOKEN_NAMES = {
  /** Begin of an image. */
  boi: '<racm3:break>',
  /** End of an image. */
  eoi: '<eoss>',
  /** Ends a turn of a conversation. */
  separator: '<reserved08706>',
  /** Ends a row of codes in Lumina-mGPT's layout. */
  newline: '<reserved08799>',
} as const;

/** Codes that one of Lumina-mGPT's size tokens counts, along an axis: 32 pixels at 16 pixels a code. */
export const CODES_A_SIZE_STEP = 2;

export interface ChameleonVocabulary {
  readonly size: number;
  readonly bos: number;
  readonly eos: number;
  readonly pad: number;
  readonly boi: number;
  readonly eoi: number;
  /** The placeholder of a code. */
  readonly image: number;
  /** Undefined where the vocabulary has none. */
  readonly separator: number | undefined;
  readonly newline: number | undefined;
  /** Id of every code, `[codes]`. */
  readonly idOfCode: Int32Array;
  /** Code of every id, -1 for other ids, `[size]`. */
  readonly codeOfId: Int32Array;
  /** Ids of all codes, ascending. */
  readonly imageIds: Int32Array;
  /** Ids that stand in images alone, codes and the begin token left out: end, placeholder, newline, sizes. */
  readonly imageSpecials: readonly number[];
  /** Id of Lumina-mGPT's token for a height or width of so many size steps. @throws RangeError where there is none */
  sizeId(steps: number): number;
  /** Size steps that an id stands for; undefined for other ids. */
  sizeOf(id: number): number | undefined;
}

/**
 * Reads the vocabulary out of `vocabulary_map`.
 * @throws ChameleonConfigError listing every token that is missing, doubled or outside the vocabulary
 */
export function chameleonVocabulary(config: ChameleonConfig): ChameleonVocabulary {
  const map = config.vocabulary_map;
  const size = config.text.vocab_size;
  const codes = config.vq.n_embed;
  const faults: string[] = [];
  const idOfCode = new Int32Array(codes).fill(-1);
  const codeOfId = new Int32Array(size).fill(-1);
  const steps = new Map<number, number>();
  for (const [name, id] of Object.entries(map)) {
    if (id < 0 || id >= size) {
      faults.push(`${name} has id ${id}, outside 0..${size - 1}`);
      continue;
    }
    const reserved = /^<reserved(\d{5})>$/.exec(name);
    // The steps are counted from the token after the row's newline on.
    if (reserved && Number(reserved[1]) > 8800) steps.set(Number(reserved[1]) - 8800, id);
    const code = codeOfName(name);
    if (code === undefined) continue;
    if (code >= codes) faults.push(`${name} is code ${code}; the codebook has ${codes}`);
    else if (idOfCode[code] >= 0) faults.push(`code ${code} has two ids, ${idOfCode[code]} and ${id}`);
    else if (codeOfId[id] >= 0) faults.push(`id ${id} stands for two codes, ${codeOfId[id]} and ${code}`);
    else {
      idOfCode[code] = id;
      codeOfId[id] = code;
    }
  }
  idOfCode.forEach((id, code) => {
    if (id < 0 && faults.length < 20) faults.push(`code ${code} has no id`);
  });
  for (const name of [TOKEN_NAMES.boi, TOKEN_NAMES.eoi]) if (map[name] === undefined) faults.push(`${name} is missing`);
  if (faults.length > 0)
    throw new ChameleonConfigError(`vocabulary_map does not fit this configuration:\n  ${faults.join('\n  ')}`);
  const newline = TOKEN_NAMES.newline in map ? [map[TOKEN_NAMES.newline]] : [];
  const sizes = new Map([...steps].map(([step, id]) => [id, step]));
  return {
    size,
    bos: config.bos_token_id,
    eos: config.eos_token_id,
    pad: config.pad_token_id,
    boi: map[TOKEN_NAMES.boi],
    eoi: map[TOKEN_NAMES.eoi],
    image: config.image_token_id,
    separator: map[TOKEN_NAMES.separator],
    newline: map[TOKEN_NAMES.newline],
    idOfCode,
    codeOfId,
    imageIds: Int32Array.from(idOfCode).sort(),
    imageSpecials: [map[TOKEN_NAMES.eoi], config.image_token_id, ...newline, ...steps.values()],
    sizeId(step) {
      const id = steps.get(step);
      if (id === undefined) throw new RangeError(`the vocabulary has no token for a size of ${step} steps`);
      return id;
    },
    sizeOf: (id) => sizes.get(id),
  };
}

/** Name of a code in `vocabulary_map`: its decimal digits as letters, A for 0. */
export function nameOfCode(code: number): string {
  return `IMGIMG${Array.from(String(code), (digit) => String.fromCharCode(65 + Number(digit))).join('')}Z`;
}

function codeOfName(name: string): number | undefined {
  const letters = /^IMGIMG([A-J]+)Z$/.exec(name)?.[1];
  return letters === undefined
    ? undefined
    : Number(Array.from(letters, (letter) => letter.charCodeAt(0) - 65).join(''));
}
