/** POPE (Li et al. 2023, arXiv 2305.10355): is an object in the picture, yes or no; read as its own script does, or as VLMEvalKit does. */
import { splitWords } from '../../text';
import { mean } from './mean';

export type YesNo = 'yes' | 'no';

/** What a reading gives; `unknown` only VLMEvalKit's. */
export type YesNoReading = YesNo | 'unknown';

/** Counts of "yes", and the usual shares, 0 to 1 each. */
export interface YesNoScores {
  readonly tp: number;
  readonly fp: number;
  /** Not read as yes, rightly. */
  readonly tn: number;
  /** Not read as yes, wrongly. */
  readonly fn: number;
  /** Share read as what they are: `unknown` is always wrong. */
  readonly accuracy: number;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Share of answers read as yes. */
  readonly yesRatio: number;
}

/** POPE's reading: `no` if a piece between single spaces of the first sentence, commas deleted, is `No`, `not` or `no`; else `yes`. */
export function readPope(answer: string): YesNo {
  const pieces = answer.split('.')[0].replaceAll(',', '').split(' ');
  return pieces.some((piece) => ['No', 'not', 'no'].includes(piece)) ? 'no' : 'yes';
}

const marks = [...';/[]"{}()=+\\_-><@`,?!'];

/** Full stops that VLMEvalKit deletes at most: it passes a flag of that value where a count belongs. */
const stops = 32;

/** VLMEvalKit's reading: `yes` if that word is there without `no`, `no` the other way round, else `unknown`. */
export function readYesNo(answer: string): YesNoReading {
  const text = answer.toLowerCase();
  const commaInNumber = /\d,\d/.test(text);
  let plain = text;
  for (const mark of marks) {
    const gone = commaInNumber || text.includes(`${mark} `) || text.includes(` ${mark}`);
    plain = plain.replaceAll(mark, gone ? '' : ' ');
  }
  let deleted = 0;
  const words = splitWords(plain.replace(/(?<!\d)\.(?!\d)/g, (stop) => (deleted++ < stops ? '' : stop)));
  const yes = words.includes('yes');
  if (yes === words.includes('no')) return 'unknown';
  return yes ? 'yes' : 'no';
}

/**
 * Scores of readings. Where a share would divide by 0 (nothing read as yes, no label yes), it is 0, as VLMEvalKit has it.
 * @throws RangeError for no readings, or another number of labels
 */
export function yesNoScores(readings: readonly YesNoReading[], labels: readonly YesNo[]): YesNoScores {
  if (readings.length !== labels.length)
    throw new RangeError(`there are ${readings.length} readings and ${labels.length} labels`);
  const accuracy = mean(
    readings.map((reading, i) => Number(reading === labels[i])),
    'readings',
  );
  const count = (yes: boolean, label: YesNo): number =>
    readings.filter((reading, i) => (reading === 'yes') === yes && labels[i] === label).length;
  const [tp, fp, tn, fn] = [count(true, 'yes'), count(true, 'no'), count(false, 'no'), count(false, 'yes')];
  const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
  return {
    ...{ tp, fp, tn, fn, accuracy },
    precision: ratio(tp, tp + fp),
    recall: ratio(tp, tp + fn),
    f1: ratio(2 * tp, 2 * tp + fp + fn),
    yesRatio: (tp + fp) / readings.length,
  };
}
