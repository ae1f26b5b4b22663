import { logarithmic } from '../ui/scale.ts';
import { Frame } from './frame.tsx';
import { job } from './job.ts';
import { Panel } from './panel.tsx';
import { COPY, type SpeedRow } from './steps.ts';

export const speed = job('speed', () => ({ weights: 1 << 18 }));

const ROW = 23;
const TOP = 30;
const FEW = 12; // rows of the empty chart, to avoid layout shifts when it fills

/** The encoding and decoding speed of every format on this machine. */
export function Speed() {
  const rows = speed.rows.value;
  const copy = rows.find(({ format }) => format === COPY)?.decode;
  const encoders = rows.filter(({ encode }) => encode).map(({ encode = 0 }) => encode);
  return (
    <Panel
      job={speed}
      title="Speed on this machine"
      about="Encoding and decoding speed of every format in one thread of this browser, in megabytes of 32-bit weights per second, compared with a plain memory copy."
      verdict={
        copy &&
        encoders.length > 0 && (
          <>
            Encoding runs at <strong>{rate(Math.min(...encoders))}</strong> to{' '}
            <strong>{rate(Math.max(...encoders))}</strong>, a copy at {rate(copy)}.
          </>
        )
      }
      chart={
        <>
          <ul class="key">
            <li>
              <i class="encode" /> encode
            </li>
            <li>
              <i class="decode" /> decode
            </li>
          </ul>
          <Frame height={() => TOP + ROW * Math.max(FEW, rows.length)}>
            {(width) => <Dots rows={rows} width={width} copy={copy} />}
          </Frame>
        </>
      }
      table={<Table rows={rows} copy={copy} />}
    />
  );
}

/** 12 345 678 -> "12.3 MB/s". */
function rate(bytes: number): string {
  const mega = bytes / 1e6;
  return mega >= 1000
    ? `${(mega / 1000).toFixed(mega >= 10_000 ? 0 : 1)} GB/s`
    : `${mega.toFixed(mega < 100 ? 1 : 0)} MB/s`;
}

interface DotsProps {
  readonly rows: readonly SpeedRow[];
  readonly width: number;
  readonly copy: number | undefined;
}

/** Dots, because the scale is logarithmic: the length of a bar would be meaningless. */
function Dots({ rows, width, copy }: DotsProps) {
  const wide = width >= 640;
  const left = 84;
  const right = width - (wide ? 190 : 16);
  const x = logarithmic([4e6, 2.5e10], [left, right]);
  const height = TOP + ROW * Math.max(FEW, rows.length);
  return (
    <svg width={width} height={height} role="img" aria-label="Speed of every format">
      <g class="axes">
        {(wide ? [1e7, 1e8, 1e9, 1e10] : [1e7, 1e9]).map((tick) => (
          <g key={tick}>
            <line x1={x(tick)} x2={x(tick)} y1={TOP - 6} y2={height} />
            <text x={x(tick)} y={TOP - 13} class="middle">
              {tick < 1e9 ? `${tick / 1e6} MB/s` : `${tick / 1e9} GB/s`}
            </text>
          </g>
        ))}
      </g>
      {copy && <line class="bound" x1={x(copy)} x2={x(copy)} y1={TOP - 6} y2={height} />}
      {rows.map(({ format, encode, decode }, i) => (
        <g key={format} transform={`translate(0 ${TOP + (i + 0.5) * ROW})`}>
          <text x={left - 14} dy="0.32em" class="end name">
            {format}
          </text>
          {encode && decode && <line class="between" x1={x(encode)} x2={x(decode)} y1={0} y2={0} />}
          {decode && <rect class="decode" x={x(decode) - 4} y={-4} width={8} height={8} />}
          {encode && <circle class="encode" cx={x(encode)} cy={0} r={5} />}
          {wide && (
            <>
              <text x={width - 92} dy="0.32em" class="end value">
                {encode ? rate(encode) : format === COPY ? '' : 'read only'}
              </text>
              <text x={width} dy="0.32em" class="end value">
                {decode && rate(decode)}
              </text>
            </>
          )}
        </g>
      ))}
      {wide && (
        <>
          <text x={width - 92} y={TOP - 13} class="end">
            encode
          </text>
          <text x={width} y={TOP - 13} class="end">
            decode
          </text>
        </>
      )}
    </svg>
  );
}

function Table({ rows, copy }: { rows: readonly SpeedRow[]; copy: number | undefined }) {
  const cell = (value: number | undefined) => (
    <>
      <td class="right number">{value ? rate(value) : '–'}</td>
      <td class="right number soft">{value && copy ? (value / copy).toFixed(value / copy < 0.1 ? 4 : 2) : '–'}</td>
    </>
  );
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Format</th>
          <th scope="col" class="right">
            Encode
          </th>
          <th scope="col" class="right">
            of a copy
          </th>
          <th scope="col" class="right">
            Decode
          </th>
          <th scope="col" class="right">
            of a copy
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ format, encode, decode }) => (
          <tr key={format}>
            <th scope="row">{format}</th>
            {cell(encode)}
            {cell(decode)}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
