const PATHS = {
  overview: "M3 3h6v6H3zM11 3h6v4h-6zM11 9h6v8h-6zM3 11h6v6H3z",
  experiments: "M8 3h4M9 3v5l-5 8a1 1 0 0 0 1 1.5h10a1 1 0 0 0 1-1.5l-5-8V3M6.5 13h7",
  models: "M10 3l7 3.7v6.6L10 17l-7-3.7V6.7zM3 6.7l7 3.6 7-3.6M10 10.3V17",
  deployments: "M4 4h12v5H4zM4 11h12v5H4zM7 6.5h.01M7 13.5h.01",
  rollouts: "M3 14h14M14 11l3 3-3 3M6 14c4 0 4-8 8-8h3M14 3l3 3-3 3",
  monitors: "M2 10h3l2-5 3 10 3-7 2 2h3",
  alerts: "M10 3a5 5 0 0 1 5 5v4l2 2H3l2-2V8a5 5 0 0 1 5-5zM8 17h4",
  cost: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM12.5 7.5a3.5 3.5 0 1 0 0 5M6 9.3h4M6 11h4",
  journal: "M5 3h10v14H5zM8 7h4M8 10h4M8 13h2",
  settings: "M4 6h7M15 6h1M4 14h1M9 14h7M11 4v4M7 12v4",
  menu: "M3 5h14M3 10h14M3 15h14",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg
      width="18"
      height="18"
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.6"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
