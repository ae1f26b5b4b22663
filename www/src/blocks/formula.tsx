import { table } from './state.ts';
import { formulaParts, roleOf } from './text.ts';

/** The formula of the format, with symbols or with their values. */
export function Formula({ values }: { values?: (symbol: string) => string }) {
  return (
    <>
      {formulaParts(table.value).map(({ text, symbol, raised }, i) => {
        const role = symbol ? roleOf(table.value, text) : undefined;
        const shown = !symbol ? (
          text
        ) : values ? (
          <b title={text} data-role={role}>
            {values(text)}
          </b>
        ) : (
          <var data-role={role}>{text}</var>
        );
        return raised ? <sup key={i}>{shown}</sup> : <span key={i}>{shown}</span>;
      })}
    </>
  );
}
