/** The `wasm` engine: npm alone is enough. */
import { EngineError, type EngineReport, type Precision } from './report';

export async function startWasm(_precision: Precision, _forced = false): Promise<EngineReport> {
  throw new EngineError('the wasm engine is not here yet', 'use tensorflow');
}
