export { RepeatedStep } from './repeated';
export { useMixedPrecision } from './call-attributes';
export { TraceError } from './trace-error';
export {
  onTrace,
  outsideTrace,
  recomputedAfter,
  releaseTraced,
  runTraced,
  traced,
  type Traced,
  type TracedProgram,
  type TraceEvent,
  type TraceOptions,
  type TraceReport,
  traceReports,
  tracingWorks,
  withoutTracing,
} from './traced';
