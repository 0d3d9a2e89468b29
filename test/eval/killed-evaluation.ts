/** One evaluation in a process of its own, to be killed: OUT TABLE BASE_URL. */
import { wordsSuite } from './words-suite';

const [out, table, baseUrl] = process.argv.slice(2);
void wordsSuite({ out, table, baseUrl, resume: false });
