/**
 * The state transitions of the page as pure functions: no signals, no engine, no browser APIs. www/STATES.md lists the
 * states; the other modules of this folder own the signals and call these functions.
 */

/** What the page is doing with a model. */
export type Standing =
  /** Nothing is open and nothing is being opened: the first model could not be opened. */
  | 'none'
  /** The first model is being opened. */
  | 'opening'
  /** A model is open that cannot be converted: nothing is planned or measured. */
  | 'unusable'
  /** Formats are being measured; after the first pass no figure is missing. */
  | 'measuring'
  /** Every tensor has figures. */
  | 'measured'
  /** The measurement failed: there will be no figures. */
  | 'unmeasured';

/** The input of {@link standingOf}. */
export interface Facts {
  readonly open: boolean;
  readonly opening: boolean;
  /** Why the open model cannot be converted. */
  readonly obstacle: string | undefined;
  readonly measuring: 'idle' | 'running' | 'done' | 'failed';
  /** Whether a pass over all tensors has ended. */
  readonly covered: boolean;
}

/** Returns the state for these facts. */
export function standingOf({ open, opening, obstacle, measuring, covered }: Facts): Standing {
  if (!open) return opening ? 'opening' : 'none';
  if (obstacle !== undefined) return 'unusable';
  if (measuring === 'failed' && !covered) return 'unmeasured';
  return covered ? 'measured' : 'measuring';
}

/** The properties that decide whether a model can be converted. */
export interface Convertible {
  /** Why it cannot be converted. */
  readonly obstacle?: string | undefined;
  /** Whether it can be written as a plain container. */
  readonly plainly?: boolean | undefined;
}

/** Why a model cannot be converted by a recipe: with `plain` any safetensors model becomes a plain container. */
export function obstacleTo(
  model: Convertible | undefined,
  { plain }: { readonly plain?: boolean | undefined },
): string | undefined {
  return model?.plainly && plain ? undefined : model?.obstacle;
}

/** A recipe as it applies to a model: with `plain` only if the model cannot be converted otherwise. */
export function recipeFor<R extends { readonly plain?: boolean | undefined }>(
  model: Convertible | undefined,
  recipe: R,
): R {
  if (!recipe.plain || model?.plainly) return recipe;
  const { plain: _, ...others } = recipe;
  return others as R;
}

/** The user's consents for one model, whatever the preset. */
export function consentsOf({ allowRequantize, plain }: Consents): Consents {
  return { ...(allowRequantize && { allowRequantize }), ...(plain && { plain }) };
}

/** The options of a recipe that are consents. */
export interface Consents {
  readonly allowRequantize?: boolean | undefined;
  readonly plain?: boolean | undefined;
}

/** What to do about a requested mix. */
export type MixStep = 'search' | 'wait' | 'give up';

/** A mix is searched once every tensor is measured, because the search needs all errors. */
export function mixStep(standing: Standing): MixStep {
  if (standing === 'measured') return 'search';
  return standing === 'measuring' || standing === 'opening' ? 'wait' : 'give up';
}

/** The same for a model of which only some tensors are ever measured (`partly`): it has no mix. */
export function mixStepFor(standing: Standing, partly: boolean): MixStep {
  return partly ? 'give up' : mixStep(standing);
}

/** Why there is no mix yet, or will be none, as a sentence. */
export function mixWaits(step: 'wait' | 'give up', share: number, partly = false): string {
  if (step === 'wait') return `Still measuring (${Math.floor(share * 100)}%).`;
  return partly
    ? 'The best mix needs the error of every tensor, and in a model with this many only the largest are measured. Choose a preset.'
    : 'There is no best mix without measured errors.';
}

/** The state that depends on the previous model when another one is opened. */
export interface Session<R> {
  /** The recipe, and the mix that was found for the model from its errors. */
  readonly recipe: R;
  readonly mixRecipe: R | undefined;
  /** The name of the importance matrix, which was measured on the model. */
  readonly imatrix: string | undefined;
  /** Whether the model was written as a plain container. */
  readonly plain?: boolean | undefined;
}

/** What is kept, and the message about the rest. */
export interface Kept<R> {
  readonly recipe: R;
  readonly imatrix: undefined;
  readonly notice: string | undefined;
}

/**
 * Preset, rules and options are kept: they apply to any model. The importance matrix, the best mix, and the consents to
 * requantize and to write a plain container belong to one model. A `plain` from a link is kept until the first model
 * that needs it.
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

/** Why another model cannot be opened now. */
export function refusesOpening(writing: boolean): string | undefined {
  return writing
    ? 'A file is being written. Wait until it is done, or cancel it, and open the model again.'
    : undefined;
}

/**
 * The initial recipe of the page: that of its URL; in another view, whose URL has none, that of this tab.
 *
 * @param view - The view of the URL, empty for the first.
 * @param inAddress - The recipe of the URL.
 * @param inTab - The recipe stored by the tab.
 */
export function firstRecipe<R>(view: string, inAddress: R | undefined, inTab: R | undefined, fallback: R): R {
  return (view === '' ? inAddress : inTab) ?? fallback;
}

/** How the URL and the recipe affect each other. */
export type AddressStep = 'read' | 'write' | 'nothing';

/**
 * The page owns the recipe. A URL with a recipe that the page did not write was followed or edited by the user, and is
 * read. A URL without a recipe (a link to the first view) gets the current one.
 *
 * @param there - The parameters of the URL, and whether they name a preset.
 * @param written - What the page last wrote.
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
