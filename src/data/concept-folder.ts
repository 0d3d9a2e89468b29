/**
 * One subject of a folder in UnifyBench++'s layout as a task: its images and conversations (VIA), its facts and prompts
 * (TIA), its test questions as an evaluation. The mini world writes such folders; the published ones are read alike.
 */
import type { Rng } from '../engine';
import { type Image, readImage, resizeImage } from '../io';
import type { UnifiedModel } from '../models/unified';
import { type ConceptFiles, listConcepts, readConcept } from './concept-files';
import { ConceptFileError, type ConceptTestItem } from './concept-schema';
import {
  attributeExample,
  type Pathway,
  PATHWAYS,
  type PersonalizationTask,
  type Subject,
  type SubjectExample,
  type SubjectKind,
  type SubjectTruth,
  type TextStyle,
  visualExample,
} from './personalization';
import { type EvaluatedItem, type Evaluation, evaluationOf, type EvaluationOptions } from './task';

export interface ConceptFolderOptions {
  /** See {@link TextStyle}. Default `plain`. */
  readonly style?: TextStyle;
  /** Images are brought to this size, which is what the model sees. Default: as they are. */
  readonly size?: readonly [height: number, width: number];
}

/** A test question; images are read when it is asked. */
interface TestQuestion {
  readonly type: ConceptTestItem['type'];
  readonly question: string;
  readonly answer: string;
  readonly image?: Image;
}

export class ConceptFolderTask implements PersonalizationTask {
  readonly name: string;

  private constructor(
    readonly subject: Subject,
    /** Prompts that a fact completes, in the order of {@link Subject.facts}. */
    private readonly prompts: readonly string[],
    /** What the same question is answered for other subjects of the folder. */
    private readonly otherAnswers: ReadonlyMap<string, readonly string[]>,
    private readonly tests: readonly TestQuestion[],
  ) {
    this.name = `concept ${subject.name}`;
  }

  /**
   * Reads one subject, and the conversations of its neighbors.
   * @throws ConceptFileError naming file and field; for an unknown name, the known ones
   */
  static async open(folder: string, name: string, options: ConceptFolderOptions = {}): Promise<ConceptFolderTask> {
    const { style = 'plain', size } = options;
    const files = readConcept(folder, name);
    const named = (text: string) => text.split(`<${name}>`).join('<sks>');
    const image = async (file: string) => {
      // People take photographs with phones, which store them sideways with a note how to turn them.
      const whole = await readImage(file, { upright: true });
      return size ? resizeImage(whole, size[1], size[0]) : whole;
    };
    const trained = files.info.extra_info.length - files.info.num_testing_info;
    if (trained < 1) throw new ConceptFileError(`${folder}: concept ${name} has no fact that training may ask for`);
    const prompts = files.conditions.personalized_driven_generation;
    if (prompts.length < trained)
      throw new ConceptFileError(
        `${folder}: concept ${name} has ${trained} training facts, and personalized_driven_generation ${prompts.length} prompts; each needs one`,
      );
    const subject: Subject = {
      name,
      kind: kindOf(files),
      className: files.info.class,
      style,
      facts: files.info.extra_info.slice(0, trained).map(named),
      references: await Promise.all(
        files.trainImages.map(async (file) => ({
          image: await image(file),
          caption: 'a photo of <sks>',
          questions: questionsOf(files, file).map(({ query, answer }) => ({
            question: named(query),
            answer: named(answer),
          })),
        })),
      ),
    };
    if (subject.references.every(({ questions }) => questions.length === 0))
      throw new ConceptFileError(`${folder}: conversations.json of ${name} has no question about a training image`);
    const tests = await Promise.all(
      files.testData.map(async (item): Promise<TestQuestion> => ({
        type: item.type,
        question: named(item.conversations[0].value.replace(/<image>\s*/g, '')),
        answer: named(item.conversations[1].value),
        image: item.type === 'text_only' ? undefined : await image(`${folder}/${item.image}`),
      })),
    );
    return new ConceptFolderTask(subject, prompts.slice(0, trained).map(named), answersOfOthers(folder, name), tests);
  }

  /** `rec`, or where no test question recognizes, the first kind that there is. */
  get headline(): string {
    const kinds = ['rec', 'vqa'] as const;
    const kind = kinds.find((name) => this.tests.some(({ type }) => type === name));
    return kind ?? 'qa';
  }

  sample(rng: Rng, pathway: Pathway = rng.split('pathway').pick(PATHWAYS)): SubjectExample {
    return pathway === 'via' ? this.visual(rng.split('via')) : this.attribute(rng.split('tia'));
  }

  /** Greedy answers to the test questions: `rec` (mean of positive and negative recall), `vqa` and `qa` (exact match). */
  evaluate(model: UnifiedModel, rng: Rng, options: EvaluationOptions = {}): Promise<Evaluation> {
    const { text, batchSize = 32 } = options;
    const tests = this.tests.slice(0, options.count);
    const items: EvaluatedItem[] = [];
    for (let from = 0; from < tests.length; from += batchSize) {
      const part = tests.slice(from, from + batchSize);
      const requests = part.map(({ image, question }, i) => ({
        prompt: model.prompt(image ? [image, question] : [question], 'understand'),
        rng: rng.split('test').split(from + i),
      }));
      const answers = model.sampleText(requests, { ...text, temperature: 0 });
      part.forEach(({ type, question, answer, image }, i) => {
        const right = normalized(answers[i].text) === normalized(answer) ? 1 : 0;
        const metric = type === 'rec' ? `rec/${normalized(answer)}` : type === 'vqa' ? 'vqa' : 'qa';
        items.push({ prompt: question, text: answers[i].text, image, scores: { [metric]: right } });
      });
    }
    return Promise.resolve(evaluationOf(withRecall(items)));
  }

  private visual(rng: Rng): SubjectExample {
    const reference = rng.pick(this.subject.references.filter(({ questions }) => questions.length > 0));
    const asked = rng.pick(reference.questions.filter(({ answer }) => answer !== '<sks>'));
    const wrong = this.otherAnswers.get(asked.question) ?? [];
    return visualExample(this.subject, reference, asked, wrong, rng, (truth: SubjectTruth) => truth);
  }

  private attribute(rng: Rng): SubjectExample {
    const { facts } = this.subject;
    const correct = rng.int(facts.length);
    const prompt = this.prompts[correct];
    const truth = { candidates: facts, correct };
    return attributeExample(this.subject, { id: `tia ${prompt}`, prompt, facts: rng.shuffle(facts), truth });
  }
}

const normalized = (text: string) =>
  text
    .trim()
    .toLowerCase()
    .replace(/\s*[.!]$/, '');

function kindOf({ info }: ConceptFiles): SubjectKind {
  if (info.conversation_type === 'person' || info.class === 'person') return 'person';
  return info.generation_type === 'live_subject' ? 'animal' : 'object';
}

function questionsOf({ conversations }: ConceptFiles, file: string) {
  return conversations[file.split(/[\\/]/).at(-1) ?? file] ?? [];
}

function answersOfOthers(folder: string, name: string): Map<string, string[]> {
  const answers = new Map<string, string[]>();
  for (const other of listConcepts(folder).filter((known) => known !== name)) {
    const named = (text: string) => text.split(`<${other}>`).join('<sks>');
    for (const { query, answer } of Object.values(readConcept(folder, other).conversations).flat()) {
      const list = answers.get(named(query)) ?? [];
      list.push(named(answer));
      answers.set(named(query), list);
    }
  }
  return answers;
}

/**
 * `rec`, the mean of positive and negative recall (UnifyBench++), as a score of every recognition item, so that it can be
 * compared pair by pair: of N items an answer counts for N / (2 N_kind) where N_kind expect the same answer. Where all of
 * them do, it is the recall of that kind.
 */
export function withRecall(items: readonly EvaluatedItem[]): EvaluatedItem[] {
  const having = (metric: string) => items.filter(({ scores }) => metric in scores).length;
  const kinds = (['rec/yes', 'rec/no'] as const).filter((kind) => having(kind) > 0);
  const all = kinds.reduce((sum, kind) => sum + having(kind), 0);
  return items.map((item) => {
    const kind = kinds.find((name) => name in item.scores);
    if (!kind) return item;
    const rec = (item.scores[kind] * all) / (kinds.length * having(kind));
    return { ...item, scores: { ...item.scores, rec } };
  });
}
