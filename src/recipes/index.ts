/** Whole methods: read one from top to bottom. */
export * from './corl';
export { saveResult } from './result-files';
export * from './sync-grpo';
export * from './sync-grpo-run';
