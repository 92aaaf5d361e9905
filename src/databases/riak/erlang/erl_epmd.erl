%% ringmaster_epmd under the name of the module that it replaces, for releases that know no -epmd_module (R16, Riak 2.x) or do
%% not load it (embedded mode): the beam goes where kernel's own erl_epmd is, in the sandbox's copy of the database.
-define(EPMD_MODULE, erl_epmd).
-include("ringmaster_epmd.erl").
