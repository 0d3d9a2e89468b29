/** Benchmarks that are sets of questions: what is asked, and by which rule an answer is right. */
import { answerIn } from '../text';
import type { Benchmark, BenchmarkItem, Column, ItemScore, ScoredItem } from './benchmark';
import { meanColumn, ruleColumn } from './columns';
import { loadItemImage } from './item-images';
import { ItemError, type Reading } from './items';
import { type ChatJudge, replyValue } from './judges';
import type { TextStyle } from './personalization';
import { answerText, type QuestionItem, questionText } from './question-item';
import { answerRubric, equivalenceRubric } from './rubrics';
import { type MultipleChoiceRecord, multipleChoiceAccuracy, multipleChoiceHit } from './rules/multiple-choice';
import { readYesNo, yesNoScores, type YesNo, type YesNoReading } from './rules/pope';

/**
 * `choice`: the letter, as VLMEvalKit infers it. `yes-no`: POPE's question. `graded`: a judge's mark for answers in words
 * (MM-Vet). `equivalent`: a judge says whether the final answer is the right one, letters by rule where there are choices;
 * without a judge the text must be equal.
 */
export const QUESTION_RULES = ['choice', 'yes-no', 'graded', 'equivalent'] as const;
export type QuestionRule = (typeof QUESTION_RULES)[number];

export interface QuestionAsk extends BenchmarkItem {
  readonly item: QuestionItem;
}

/** What was said, and what it was taken for. */
export interface QuestionDetail {
  readonly prediction: string;
  readonly answer: string;
  readonly choices: Readonly<Record<string, string>>;
  readonly reading?: YesNoReading;
}

export interface QuestionBenchmarkOptions {
  readonly rule: QuestionRule;
  /** Without one, `graded` cannot be scored, and `equivalent` is equality of texts. */
  readonly judge?: ChatJudge;
  /** How questions are put and answers read. Default `plain`. */
  readonly style?: TextStyle;
}

/**
 * Columns, 0 to 100: `accuracy` (`graded`: the mean mark), for `yes-no` also `f1`, `precision`, `recall` and `yes_ratio`.
 * Items without an answer (test splits) are errors: they can only be scored by those who have it.
 * @throws Error for `graded` without a judge
 */
export function questionBenchmark(
  name: string,
  read: () => Reading<QuestionItem>,
  { rule, judge, style }: QuestionBenchmarkOptions,
): Benchmark<QuestionAsk, QuestionDetail> {
  if (rule === 'graded' && !judge)
    throw new Error(`${name} has answers in words, which a judge must grade: name its endpoint`);
  const text = (item: QuestionItem) => questionText(item, style);
  const answer = (said = '') => answerText(finalAnswer(said), style);
  return {
    name,
    judges: [rule === 'graded' || (rule === 'equivalent' && judge) ? (judge?.name ?? 'rule') : 'rule'],
    columns: columnsOf(rule),
    missing: rule === 'equivalent' && !judge ? ['answers that are right in other words: they take a judge'] : undefined,
    holdsImages: true,
    async *items() {
      for await (const one of read()) {
        if ('error' in one) yield one;
        else if (one.item.answer === undefined)
          yield { error: new ItemError({ file: name, where: `item '${one.item.id}'` }, 'it has no answer') };
        else yield { item: askOf(one.item, text) };
      }
    },
    score: (ask, { texts }) => scoreQuestion(ask.item, text(ask.item), answer(texts[0]), rule, judge),
  };
}

function askOf(item: QuestionItem, text: (item: QuestionItem) => string): QuestionAsk {
  const parts = async () => [...(await Promise.all(item.images.map(loadItemImage))), text(item)];
  return { id: item.id, item, ask: { kind: 'answer', parts } };
}

/** What a model that thinks first gives as its answer; else all that it said. */
const finalAnswer = (text: string): string => (text.includes('<answer>') ? answerIn(text) : text);

async function scoreQuestion(
  { answer = '', choices }: QuestionItem,
  asked: string,
  prediction: string,
  rule: QuestionRule,
  judge: ChatJudge | undefined,
): Promise<ItemScore<QuestionDetail>> {
  const detail = { prediction, answer, choices };
  const hasChoices = Object.keys(choices).length > 0;
  switch (rule) {
    case 'yes-no': {
      const reading = readYesNo(prediction);
      return { scores: { accuracy: reading === labelOf(detail) ? 1 : 0 }, detail: { ...detail, reading } };
    }
    case 'graded': {
      const [reply] = await (judge as ChatJudge).ask(
        [answerRubric.request(asked, answer, prediction)],
        answerRubric.read,
      );
      return { scores: { accuracy: replyValue(reply) }, detail };
    }
    case 'choice':
      return { scores: { accuracy: multipleChoiceHit(detail) ? 1 : 0 }, detail };
    case 'equivalent': {
      if (hasChoices && multipleChoiceHit(detail)) return { scores: { accuracy: 1 }, detail };
      if (!judge) return { scores: { accuracy: plain(prediction) === plain(answer) ? 1 : 0 }, detail };
      const request = equivalenceRubric.request(asked, answer, prediction);
      const [reply] = await judge.ask([request], equivalenceRubric.read);
      return { scores: { accuracy: replyValue(reply) ? 1 : 0 }, detail };
    }
  }
}

const plain = (text: string): string =>
  text
    .trim()
    .toLowerCase()
    .replace(/[.\s]+$/, '');

function labelOf({ answer }: QuestionDetail): YesNo {
  return plain(answer) === 'yes' ? 'yes' : 'no';
}

function columnsOf(rule: QuestionRule): Column<QuestionDetail>[] {
  if (rule === 'choice') {
    const records = (items: readonly ScoredItem<QuestionDetail>[]): MultipleChoiceRecord[] =>
      items.map(({ detail }) => detail);
    return [
      ruleColumn(
        'accuracy',
        () => true,
        (items) => 100 * multipleChoiceAccuracy(records(items)),
      ),
    ];
  }
  if (rule !== 'yes-no') return [meanColumn('accuracy', 'accuracy', 100)];
  return (['accuracy', 'f1', 'precision', 'recall', 'yesRatio'] as const).map((name) =>
    ruleColumn<QuestionDetail>(
      name === 'yesRatio' ? 'yes_ratio' : name,
      ({ detail }) => detail.reading !== undefined,
      (items) => {
        const readings = items.map(({ detail }) => detail.reading ?? 'unknown');
        return (
          100 *
          yesNoScores(
            readings,
            items.map(({ detail }) => labelOf(detail)),
          )[name]
        );
      },
    ),
  );
}
