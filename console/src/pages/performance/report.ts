import { useQuery } from "@tanstack/react-query";
import { native, type PerformanceAsked } from "../../api/native";

/** A report; it reads all that was predicted in its time, so that it is not made anew each few seconds. */
export function useReport(deployment: string, body: PerformanceAsked, enabled: boolean) {
  return useQuery({
    queryKey: ["performance", deployment, body],
    queryFn: ({ signal }) => native.performance(deployment, body, signal),
    enabled,
    staleTime: 60_000,
    refetchInterval: 300_000,
  });
}
