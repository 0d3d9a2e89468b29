/**
 * Displays. Pure part: `imageGrid`, `traceView`, `rewardPlot`, `vegaPlot`, `tableView`, `tensorView`, `progressView`
 * make a {@link Display} from a value. Showing part: `display`, `updateDisplay`, `livePlot`, `progress`, `LiveDisplay`.
 */
export {
  Display,
  type Displayable,
  type DisplayTransport,
  isDisplayable,
  jupyterDisplay,
  type MimeBundle,
} from './bundle';
export { cleanHtml, markdownRenderer } from './clean';
export {
  bandChart,
  bands,
  type CurveOptions,
  type CurveRow,
  dotChart,
  type DotOptions,
  type DotRow,
  PALETTE,
  PRINT,
  stacked,
} from './charts';
export { type FigureNumber, figureNumbers, numberLine, printedNumber, readNumberLines } from './figure-numbers';
export { figure, type GridCell, gridFigure, type GridFigureOptions } from './figure';
export { FIGURE_WIDTHS, type FigureNote, figureSvg, pdfOf, writeFigure } from './figure-files';
export { escapeHtml, html, SafeHtml } from './html';
export { type CaptionedImage, type GridOptions, imageGrid, scoreText } from './grid';
export { markdownView } from './markdown';
export { type ImageInput, type ImageLike, imagesOf, pngOf, type TensorLike } from './images';
export { isVegaLite, svgOf, type VegaLiteSpec, vegaPlot } from './plot';
export { type PairOptions, pairView, type ScoredPair } from './pairs';
export { duration, progress, ProgressBar, type ProgressState, progressView } from './progress';
export { renderBundle } from './render';
export { type MetricRow, rewardPlot, type RewardPlotOptions, rewardSpec, sparkline } from './reward-plot';
export { LivePlot, livePlot } from './live-plot';
export { clearOutput, display, type DisplayOptions, LiveDisplay, type LiveOptions, updateDisplay } from './show';
export { type FrameLike, isFrame, type TableOptions, tableView } from './table';
export { tensorView } from './tensor';
export { displayFolder, TerminalTransport } from './terminal';
export { type Trace, type TraceFact, type TraceOptions, traceView } from './trace';
export * from './widgets';
export { displayTransport, liveDisplays, setDisplayTransport } from './transport';
