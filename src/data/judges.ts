/**
 * Who scores what a model said or drew, as benchmarks know them. Models from folders, stand-ins and endpoints implement
 * these; each has the name under which its numbers stand in tables.
 */
import type { Image } from '../io';
import type { ChatReply, ChatRequest, ReadAnswer } from './chat-endpoint';

/** An image that was drawn, with what it should show and whom. */
export interface JudgedImage {
  readonly image: Image;
  readonly prompt: string;
  /** Real images of the subject; none where there is no subject. */
  readonly references: readonly Image[];
}

/** Scores images: CLIP-I, CLIP-T, DINO and the like. */
export interface ImageScorer {
  /** `clip_i`, `dinov2_large`, ..., or the name of a stand-in. */
  readonly name: string;
  /** One number an image; NaN where it cannot be scored. */
  score(images: readonly JudgedImage[]): Promise<readonly number[]>;
}

/** A language or vision-language model that follows a rubric. `ChatEndpoint` is one. */
export interface ChatJudge {
  /** The model's name at its endpoint. */
  readonly name: string;
  /** @throws Error when no request can succeed; one that failed is an error of its own */
  ask<T>(requests: readonly ChatRequest[], read: ReadAnswer<T>): Promise<ChatReply<T>[]>;
}

/** What a detector found; the box in pixels. */
export interface DetectedObject {
  readonly label: string;
  /** Confidence, 0 to 1. */
  readonly score: number;
  readonly box: readonly [left: number, top: number, right: number, bottom: number];
}

export interface ObjectDetector {
  /** `detr_resnet50`, ..., or the name of a stand-in. */
  readonly name: string;
  /** Whether it knows a class of objects; a prompt about another one cannot be scored. */
  knows(label: string): boolean;
  /** Objects of each image, the most confident first. */
  detect(images: readonly Image[]): Promise<readonly (readonly DetectedObject[])[]>;
}

/** Says which color the thing in a box has; another text where it has none of them. */
export interface ColorNamer {
  readonly name: string;
  /** Whether it can tell this color on things of this class. Default: any on any. */
  tells?(color: string, label: string): boolean;
  color(image: Image, object: DetectedObject, colors: readonly string[]): Promise<string>;
}

/** The value of a judge's reply. @throws JudgeError, so that the item is tried again when the evaluation goes on */
export function replyValue<T>(reply: ChatReply<T>): T {
  if ('error' in reply) throw new JudgeError(reply.error);
  return reply.value;
}

/** A judge did not answer. The item stays unscored; it is tried again when the evaluation goes on. */
export class JudgeError extends Error {
  override readonly name = 'JudgeError';
}
