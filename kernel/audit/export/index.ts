/** What others may import of exports. */
export { type ExportReport, exportOtlp, type SendOptions } from './send.ts'
