/** What an operator says about who may do what. */
export interface PolicySettings {
  /** Cedar, one policy each. */
  readonly policies: readonly string[];
  /** A JSON list of entities in Cedar's own format; undefined where there are none. */
  readonly entitiesJson: string | undefined;
  /** The claim that lists groups, or the path to it with dots; undefined: the usual ones are tried. */
  readonly groupClaimName: string | undefined;
  /** The claim that lists roles besides; undefined: none. */
  readonly roleClaimName: string | undefined;
  /** The type that groups and roles have as entities. */
  readonly groupEntityType: string;
  /** The name of the gateway, as which it is above everything it offers. */
  readonly serverName: string;
}
