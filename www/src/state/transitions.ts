/**
 * The decisions of the page's state, as functions of plain values: no signals, no engine, nothing of a browser. www/STATES.md
 * lists the states; the modules beside this one own the signals and ask here what follows.
 */

/** What the page is doing with a model. */
export type Standing =
  /** Nothing is open and nothing is being opened: the first model could not be opened. */
  | 'none'
  /** The first model is being opened. */
  | 'opening'
  /** A model is open that cannot be converted: nothing is planned or measured. */
  | 'unusable'
  /** Formats are being tried; no figure of the first pass may be missing afterwards. */
  | 'measuring'
  /** Every tensor has figures. */
  | 'measured'
  /** Measuring has failed: there will be no figures. */
  | 'unmeasured';

/** What {@link standingOf} looks at. */
export interface Facts {
  readonly open: boolean;
  readonly opening: boolean;
  /** Why the open model cannot be converted. */
  readonly obstacle: string | undefined;
  readonly measuring: 'idle' | 'running' | 'done' | 'failed';
  /** Whether a pass over all tensors has ended. */
  readonly covered: boolean;
}

/** The one state that the facts amount to. */
export function standingOf({ open, opening, obstacle, measuring, covered }: Facts): Standing {
  if (!open) return opening ? 'opening' : 'none';
  if (obstacle !== undefined) return 'unusable';
  if (measuring === 'failed' && !covered) return 'unmeasured';
  return covered ? 'measured' : 'measuring';
}

/** What decides whether a model is converted at all. */
export interface Convertible {
  /** Why it cannot be converted. */
  readonly obstacle?: string | undefined;
  /** Whether a plain container can be made of it all the same. */
  readonly plainly?: boolean | undefined;
}

/** Why a model cannot be converted by a recipe: with `plain` any safetensors model becomes a plain container. */
export function obstacleTo(
  model: Convertible | undefined,
  { plain }: { readonly plain?: boolean },
): string | undefined {
  return model?.plainly && plain ? undefined : model?.obstacle;
}

/** A recipe as it is carried out on a model: `plain` only where the model cannot be converted otherwise. */
export function recipeFor<R extends { readonly plain?: boolean }>(model: Convertible | undefined, recipe: R): R {
  if (!recipe.plain || model?.plainly) return recipe;
  const { plain: _, ...others } = recipe;
  return others as R;
}

/** What a person agrees to for one model, whatever the preset. */
export function consentsOf({ allowRequantize, plain }: Consents): Consents {
  return { ...(allowRequantize && { allowRequantize }), ...(plain && { plain }) };
}

/** The options of a recipe that are consents. */
export interface Consents {
  readonly allowRequantize?: boolean;
  readonly plain?: boolean;
}

/** What to do about a mix that is wanted. */
export type MixStep = 'search' | 'wait' | 'give up';

/** A mix is searched once every tensor has figures: before that there is nothing to choose by. */
export function mixStep(standing: Standing): MixStep {
  if (standing === 'measured') return 'search';
  return standing === 'measuring' || standing === 'opening' ? 'wait' : 'give up';
}

/** The same for a model of which only some tensors are ever measured (`partly`): it has no mix. */
export function mixStepFor(standing: Standing, partly: boolean): MixStep {
  return partly ? 'give up' : mixStep(standing);
}

/** Why there is no mix yet, or none at all, as a sentence. */
export function mixWaits(step: 'wait' | 'give up', share: number, partly = false): string {
  if (step === 'wait') return `Still measuring (${Math.floor(share * 100)}%).`;
  return partly
    ? 'The best mix needs the error of every tensor, and in a model with this many only the largest are measured. Choose a preset.'
    : 'There is no best mix without measured errors.';
}

/** What a model leaves behind when another one is opened in its place. */
export interface Session<R> {
  /** The recipe, and the one that was found for the model by its errors. */
  readonly recipe: R;
  readonly mixRecipe: R | undefined;
  /** The name of the importance matrix, which was measured on the model. */
  readonly imatrix: string | undefined;
  /** Whether the model became a plain container. */
  readonly plain?: boolean;
}

/** What of it stays, and what is said about the rest. */
export interface Kept<R> {
  readonly recipe: R;
  readonly imatrix: undefined;
  readonly notice: string | undefined;
}

/**
 * Preset, rules and options stay: they are made for any model. The importance matrix and the best mix are of one model, and
 * the consents to quantize again and to make a plain container are given for one model. A `plain` that came with a link waits
 * for the first model that it is needed for.
 */
export function withAnotherModel<R extends { preset: string } & Consents>(
  { recipe, mixRecipe, imatrix, plain }: Session<R>,
  fallback: R,
  before: string,
): Kept<R> {
  const { allowRequantize, plain: asked, ...others } = recipe;
  const waiting = asked && !plain;
  const unchanged = !allowRequantize && (waiting || !asked);
  const own =
    recipe === mixRecipe ? fallback : unchanged ? recipe : ({ ...others, ...(waiting && { plain: true }) } as R);
  const dropped = [
    ...(imatrix === undefined ? [] : [`the importance matrix ${imatrix}`]),
    ...(recipe === mixRecipe && mixRecipe !== undefined ? ['the best mix'] : []),
  ];
  const verb = dropped.length > 1 ? 'were' : 'was';
  const sentence = `${dropped.join(' and ')} ${verb} removed: made for ${before}.`;
  return {
    recipe: own,
    imatrix: undefined,
    notice: dropped.length > 0 ? sentence.charAt(0).toUpperCase() + sentence.slice(1) : undefined,
  };
}

/** What opening another model has to wait for. */
export function refusesOpening(writing: boolean): string | undefined {
  return writing
    ? 'A file is being written. Wait until it is done, or cancel it, and open the model again.'
    : undefined;
}

/**
 * The recipe the page begins with: that of its address; in another view, whose address has none, that of this tab.
 *
 * @param view - The view of the address, empty for the first.
 * @param inAddress - The recipe of the address.
 * @param inTab - What the tab remembers.
 */
export function firstRecipe<R>(view: string, inAddress: R | undefined, inTab: R | undefined, fallback: R): R {
  return (view === '' ? inAddress : inTab) ?? fallback;
}

/** What an address and the recipe do to each other. */
export type AddressStep = 'read' | 'write' | 'nothing';

/**
 * The owner of the recipe is the page; an address that names another one than the page wrote last was followed or edited by
 * the person, and is read. An address without a recipe (a link to the first view) is given the current one.
 *
 * @param there - The parameters of the address, and whether they name a preset.
 * @param written - What the page wrote last.
 * @param now - The parameters of the recipe.
 */
export function addressStep(
  there: { readonly query: string; readonly named: boolean },
  written: string | undefined,
  now: string,
): AddressStep {
  if (there.named && there.query !== written && there.query !== now) return 'read';
  return there.query === now ? 'nothing' : 'write';
}
