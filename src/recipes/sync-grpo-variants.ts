/** Rows of the tables of UniCTokens-R1 and Sync-R1, each as what it changes, and the control of equal time. */
export const syncGrpoVariants = {
  full: {},
  control: {},
  'without-understanding': { understanding: false },
  'without-via': { pathways: ['tia'] },
  'without-tia': { pathways: ['via'] },
  'without-dsog': { dsog: { enabled: false } },
  joint: { subject: { initialization: 'joint' } },
  'without-tier': { rewards: ['ber', 'der', 'fer'] },
  'without-ber': { rewards: ['tier', 'der', 'fer'] },
  'without-der': { rewards: ['tier', 'ber', 'fer'] },
  'without-fer': { rewards: ['tier', 'ber', 'der'] },
} as const satisfies Record<string, object>;
