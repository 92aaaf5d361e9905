// What the tests use of npm's basho-riak-client, which has no types.
declare module "basho-riak-client" {
  type Told<Answer> = (error: Error | null, answer?: Answer) => void;
  type Place = { readonly bucket: string; readonly key: string };
  type Fetched = { readonly values: readonly { readonly value: Buffer }[] };

  export type Client = {
    storeValue(options: Place & { readonly value: object }, told: Told<unknown>): void;
    fetchValue(options: Place & { readonly convertToJs: false }, told: Told<Fetched>): void;
    stop(told: Told<unknown>): void;
  };

  const Riak: {
    readonly Client: new (cluster: object, connected: Told<Client>) => Client;
    readonly Cluster: new (options: { readonly nodes: readonly object[] }) => object;
    readonly Node: new (options: {
      readonly remoteAddress: string;
      readonly remotePort: number;
      readonly externalLoadBalancer: boolean;
    }) => object;
    readonly Commands: {
      readonly KV: {
        readonly RiakObject: new () => { setContentType(type: string): void; setValue(value: string): void };
      };
    };
  };
  export default Riak;
}
