/** Whole methods: read one from top to bottom. */
export * from './sync-grpo';
export * from './sync-grpo-run';
