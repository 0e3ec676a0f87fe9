/* The page of a leaderboard. */

const PARTS = ["statistic"];
{% include "table.js" %}

const CHANGES = {statistic: [showParts, showTable]};
const FIRST = [showParts, showTable];

drawAll();
{% include "events.js" %}
