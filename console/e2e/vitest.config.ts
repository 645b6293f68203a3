import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** By name, and the look at every page last: it is to see all that the journeys have made. */
class InOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]) {
    const key = ({ moduleId }: TestSpecification) => `${moduleId.endsWith("/pages.test.ts")} ${moduleId}`;
    return [...files].sort((a, b) => key(a).localeCompare(key(b)));
  }
}

export default defineConfig({
  test: {
    environment: "node",
    include: ["e2e/**/*.test.ts"],
    globalSetup: ["e2e/server.ts"],
    // One browser and one server: the machine may be small, and the journeys change what is there.
    fileParallelism: false,
    maxWorkers: 1,
    sequence: { sequencer: InOrder },
    testTimeout: 600_000,
    hookTimeout: 300_000,
  },
});
