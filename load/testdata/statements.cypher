MATCH (n) RETURN count(n);

SHOW INDEXES YIELD type, state, entityType, labelsOrTypes, properties WHERE type IN ['RANGE', 'BTREE'] AND state = 'ONLINE' RETURN entityType, labelsOrTypes, properties;

CREATE INDEX IF NOT EXISTS FOR ()-[x:`TRUSTS`]-() ON (x.`_sub_resource_label`, x.`_sub_resource_id`);

CREATE INDEX IF NOT EXISTS FOR (x:`AWSAccount`) ON (x.`id`);

CREATE INDEX IF NOT EXISTS FOR (x:`Host`) ON (x.`id`);

CREATE INDEX IF NOT EXISTS FOR (x:`Machine`) ON (x.`id`);

CREATE INDEX IF NOT EXISTS FOR (x:`Network`) ON (x.`id`);

CREATE INDEX IF NOT EXISTS FOR (x:`Policy`) ON (x.`id`);

CREATE INDEX IF NOT EXISTS FOR (x:`Range`) ON (x.`id`);

CREATE INDEX IF NOT EXISTS FOR (x:`Role`) ON (x.`arn`);

CREATE INDEX IF NOT EXISTS FOR (x:`Role`) ON (x.`id`);

CREATE INDEX IF NOT EXISTS FOR (x:`Subnet`) ON (x.`id`);

CREATE INDEX IF NOT EXISTS FOR (x:`Tenant`) ON (x.`id`);

CREATE INDEX IF NOT EXISTS FOR (x:`Vm`) ON (x.`id`);

CREATE INDEX IF NOT EXISTS FOR (x:`Vpc`) ON (x.`id`);

CREATE INDEX IF NOT EXISTS FOR (x:`Vpc`) ON (x.`name`);

CALL db.awaitIndexes(3600);

UNWIND $rows AS row MERGE (m:ModuleSyncMetadata {id: row.id}) ON CREATE SET m:SyncMetadata, m.firstseen = timestamp() SET m.syncedtype = row.label, m.grouptype = 'AWSAccount', m.groupid = row.account, m._snap_begun = $tag;

UNWIND $rows AS row MERGE (m:ModuleSyncMetadata {id: row.id}) ON CREATE SET m:SyncMetadata, m.firstseen = timestamp() SET m.syncedtype = row.label, m.grouptype = 'AWSAccount', m.groupid = row.account, m.lastupdated = $tag;

MATCH (m:ModuleSyncMetadata) WHERE m.id IN $ids RETURN m.groupid, m.lastupdated, m._snap_begun ORDER BY m.groupid;

MATCH (m:ModuleSyncMetadata) WHERE m._snap_imported IS NOT NULL RETURN m.groupid, m._snap_imported;

CALL db.stats.retrieve('GRAPH COUNTS') YIELD data UNWIND data.nodes AS n RETURN n.label, n.count;

MATCH (n) WHERE n.lastupdated <> $tag AND any(c IN n._snap_cells WHERE split(c, '/')[1] IN $accounts) RETURN elementId(n), labels(n), n.id, n._snap_cells;

MATCH (a:`AWSAccount`)-[:`RESOURCE`]-(n) WHERE a.id IN $accounts AND n.lastupdated <> $tag AND n._snap_cells IS NULL WITH DISTINCT n RETURN elementId(n), labels(n), n.id, CASE WHEN n:`AWSAccount` THEN [n.id] ELSE [(n)-[:`RESOURCE`]-(owner:`AWSAccount`) | owner.id] END;

MATCH (x) WHERE elementId(x) IN $ids AND x.lastupdated <> $tag DETACH DELETE x;

MATCH (a)-[r]->(b) WHERE type(r) IN $types AND r.lastupdated <> $tag AND (r._snap_cells IS NULL OR any(c IN r._snap_cells WHERE split(c, '/')[1] IN $accounts)) WITH a, r, b, CASE WHEN r._snap_cells IS NULL THEN CASE WHEN a:`AWSAccount` THEN [a.id] ELSE [(a)-[:`RESOURCE`]-(owner:`AWSAccount`) | owner.id] END END AS from, CASE WHEN r._snap_cells IS NULL THEN CASE WHEN b:`AWSAccount` THEN [b.id] ELSE [(b)-[:`RESOURCE`]-(owner:`AWSAccount`) | owner.id] END END AS to WHERE r._snap_cells IS NOT NULL OR any(o IN from + to + [r._sub_resource_id] WHERE o IN $accounts) RETURN elementId(r), type(r), elementId(a), labels(a), elementId(b), labels(b), r._snap_cells, from, to, r._sub_resource_id;

MATCH ()-[x]->() WHERE elementId(x) IN $ids AND x.lastupdated <> $tag DELETE x;

MATCH (x) WHERE elementId(x) IN $ids SET x._snap_cells = $open[elementId(x)];

MATCH ()-[x]->() WHERE elementId(x) IN $ids SET x._snap_cells = $open[elementId(x)];

UNWIND $rows AS row CREATE (n:$(row.l)) SET n = row.p, n.firstseen = timestamp() RETURN row.i, elementId(n);

MATCH (n) WHERE n.`arn` IN $k0 OR n.`id` IN $k1 RETURN elementId(n), labels(n), n.lastupdated, n._snap_cells, [n.`arn`, n.`id`];

UNWIND $rows AS row MATCH (a) WHERE elementId(a) = row.a MATCH (b) WHERE elementId(b) = row.b CREATE (a)-[r:$(row.t)]->(b) SET r = row.p, r.firstseen = timestamp();
