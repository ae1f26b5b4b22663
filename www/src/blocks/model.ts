/** The open model, from which a block can be taken. */

export { opened } from '../state/model.ts';
