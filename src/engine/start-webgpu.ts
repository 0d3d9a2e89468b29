/** The `webgpu` engine: Dawn for Node. */
import { EngineError, type EngineReport, type Precision } from './report';

export async function startWebgpu(_precision: Precision, _forced = false): Promise<EngineReport> {
  throw new EngineError('the webgpu engine is not here yet', 'use tensorflow');
}
