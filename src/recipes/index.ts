/** Whole methods: read one from top to bottom. */
export * from './baselines';
export * from './corl';
export * from './corl-run';
export * from './corl-sft';
export * from './paradigms';
export { saveResult } from './result-files';
export * from './sync-grpo';
export * from './sync-grpo-run';
export * from './sync-grpo-variants';
export * from './mm-r1';
export * from './mm-r1-run';
