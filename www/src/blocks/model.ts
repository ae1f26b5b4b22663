/** The model that is open in the page, of which a block can be taken. */

export { opened } from '../state/model.ts';
