/**
 * A concept of the mini world as a personalization task. Its evaluation asks for held-out facts and for plain prompts
 * with things and places that training never asked for, and has the images read by a detector that no reward uses.
 */
import {
  attributeExample,
  type Pathway,
  PATHWAYS,
  type PersonalizationTask,
  type Subject,
  type SubjectExample,
  type SubjectTruth,
  visualExample,
} from '../data/personalization';
import type { Evaluation, EvaluationOptions } from '../data/task';
import type { Rng } from '../engine';
import type { Image } from '../io';
import type { UnifiedModel } from '../models/unified';
import { evaluateConcept } from './concept-evaluation';
import { conceptQuestions, tiaExamples, type ViaExample, viaExamples } from './concept-examples';
import { conceptReferences, describeConceptScene } from './concept-images';
import { type Concept, conceptFacts, CONCEPTS, findConcept } from './concepts';
import { SceneDetector, SubjectSimilarity } from './detector';
import { factSolution, factText, OPENINGS } from './facts';
import { loadSprites } from './sprites';
import { trainingTale } from './told-facts';
import { BACKGROUND_PHRASES } from './world';

export class ConceptTask implements PersonalizationTask {
  readonly name: string;
  readonly headline = 'joint_success';

  private constructor(
    readonly concept: Concept,
    readonly subject: Subject,
    /** Questions about the references, and what other concepts' images are asked. */
    private readonly questions: readonly ViaExample[],
    private readonly otherQuestions: readonly ViaExample[],
    readonly detector: SceneDetector,
    readonly similarity: SubjectSimilarity,
  ) {
    this.name = `mini-world concept ${concept.name}`;
  }

  /** @throws Error naming the known concepts for an unknown one */
  static async open(name: string): Promise<ConceptTask> {
    const concept = findConcept(name);
    const sprites = await loadSprites();
    const detector = await SceneDetector.load();
    const references = conceptReferences(concept, 'train', sprites).map((reference) => ({
      image: imageOf(reference.pixels),
      caption: `a photo of ${describeConceptScene(reference.scene)}`,
      questions: conceptQuestions(concept, reference).map(({ problem, solution }) => ({
        question: problem,
        answer: solution,
      })),
    }));
    const subject: Subject = {
      name,
      kind: concept.kind,
      className: concept.class,
      references,
      facts: conceptFacts(concept, 'train').map((fact) => factText(fact)),
      style: 'spaced',
    };
    const questionsOf = (one: Concept) =>
      viaExamples(one, 'train', sprites).filter(({ solution }) => solution !== '<sks>');
    const others = CONCEPTS.filter((other) => other.name !== name).flatMap(questionsOf);
    const similarity = SubjectSimilarity.of(detector, concept, sprites);
    return new ConceptTask(concept, subject, questionsOf(concept), others, detector, similarity);
  }

  sample(rng: Rng, pathway: Pathway = rng.split('pathway').pick(PATHWAYS)): SubjectExample {
    return pathway === 'via' ? this.visual(rng.split('via')) : this.attribute(rng.split('tia'));
  }

  /** Reasons where a fact is asked for, draws, and has every image read by the detector. */
  evaluate(model: UnifiedModel, rng: Rng, options: EvaluationOptions = {}): Promise<Evaluation> {
    return evaluateConcept(model, this.concept, this, rng, options);
  }

  private visual(rng: Rng): SubjectExample {
    const { problem, solution, index } = rng.pick(this.questions);
    const wrong = this.otherQuestions.filter((other) => other.problem === problem).map((other) => other.solution);
    const asked = { question: problem, answer: solution };
    const reference = this.subject.references[index];
    return visualExample(this.subject, reference, asked, wrong, rng, (truth: SubjectTruth) => truth);
  }

  /** The concept's own facts, or as often others that are told for the first time; none that it is tested with. */
  private attribute(rng: Rng): SubjectExample {
    const told = rng.split('whose').uniform() < 0.5 ? this.ownFacts(rng.split('own')) : this.newFacts(rng.split('new'));
    return attributeExample(this.subject, { id: `tia ${told.prompt}`, ...told });
  }

  private ownFacts(rng: Rng) {
    const { prompt, solution } = rng.pick(tiaExamples(this.concept, 'train', rng));
    const candidates = conceptFacts(this.concept, 'train').map(factSolution);
    const truth = { candidates, correct: candidates.indexOf(solution) };
    return { prompt, facts: rng.shuffle(this.subject.facts), truth };
  }

  private newFacts(rng: Rng) {
    const { asked, told } = trainingTale(this.concept, rng.split('facts'));
    const prompt = `${rng.pick(OPENINGS)} <sks> ${BACKGROUND_PHRASES[asked.background]}`;
    const candidates = [...new Set(told.map(factSolution))]; // two places may have the same thing
    const truth = { candidates, correct: candidates.indexOf(factSolution(asked)) };
    return { prompt, facts: told.map((fact) => factText(fact)), truth };
  }
}

const imageOf = (rgb: Uint8Array): Image => ({ width: 64, height: 64, rgb });
