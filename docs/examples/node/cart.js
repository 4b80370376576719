// A shopping cart: stock that cannot be oversold, and an order that is placed as a whole or not at all.
//
//     node cart.js [redis://127.0.0.1:6379]
import assert from 'node:assert/strict';
import { createClient } from 'redis';

const url = process.argv[2] ?? process.env.ITEMORY_URL ?? 'redis://127.0.0.1:6379';
const db = await createClient({ url, RESP: 3 }).connect();
const run = (...words) => db.sendCommand(words.map(String));

// Three tables. A cart's lines share the partition key `user`, so one query reads a whole cart; a line that nobody
// touches for a day expires by its attribute `until`.
const { tables } = await run('TABLE.LIST');
for (const table of ['products', 'carts', 'orders']) {
  if (tables.includes(table)) await run('TABLE.DROP', table);
}
await run('DEL', 'orders:placed');
await run('TABLE.CREATE', 'products', 'PK', 'sku', 'S', 'ATTR', 'stock', 'N', 'price', 'N');
await run('TABLE.CREATE', 'carts', 'PK', 'user', 'S', 'SK', 'sku', 'S', 'TTL', 'until', 'ATTR', 'qty', 'N');
await run('TABLE.CREATE', 'orders', 'PK', 'user', 'S', 'SK', 'number', 'N', 'ATTR', 'total', 'N');
for (const [sku, stock, price] of [['board', 10, 40], ['clock', 1, 25], ['book', 5, 18]]) {
  await run('ITEM.PUT', 'products', sku, 'SET', 2, 'stock', stock, 'price', price);
}

const stock = async (sku) => (await run('ITEM.GET', 'products', sku, 'FIELDS', 1, 'stock')).stock;
const addToCart = (user, sku, qty) =>
  run('ITEM.UPDATE', 'carts', user, sku, 'INCR', 1, 'qty', qty, 'EX', 24 * 60 * 60);

/** The transaction that takes each line of a user's cart out of stock, writes the order and empties the cart. */
async function orderOf(user) {
  const number = await run('INCR', 'orders:number');
  const lines = (await run('ITEM.QUERY', 'carts', user)).items;
  let total = 0;
  for (const { sku, qty } of lines) total += qty * (await run('ITEM.GET', 'products', sku)).price;
  const order = { total, lines: lines.map(({ sku, qty }) => ({ sku, qty })) };
  const commands = [
    // The token makes it safe to send this very transaction again when its reply was lost.
    ['ITEM.ATOMIC', 'TOKEN', `order-${number}`],
    ...lines.map(({ sku, qty }) => ['ITEM.UPDATE', 'products', sku, 'INCR', 1, 'stock', -qty,
      'IF', 'stock >= :n', 'VALUES', JSON.stringify({ ':n': qty })]),
    ['ITEM.PUT', 'orders', user, number, 'JSON', JSON.stringify(order), 'IF', 'attribute_not_exists(number)'],
    // A cart that was changed meanwhile on another device is not emptied.
    ...lines.map(({ sku, qty }) => ['ITEM.DEL', 'carts', user, sku, 'IF', `qty = ${qty}`]),
    ['INCR', 'orders:placed'],
  ];
  return { number, commands };
}

/** Sends the commands between MULTI and EXEC. */
function transact(commands) {
  const transaction = db.multi();
  for (const command of commands) transaction.addCommand(command.map(String));
  return transaction.exec();
}

// One product, one condition: the update happens only if there is enough, and its reply is nil otherwise.
assert.equal(await run('ITEM.UPDATE', 'products', 'book', 'INCR', 1, 'stock', -100, 'IF', 'stock >= 100'), null);
console.log('a hundred books: refused, and there are still', await stock('book'));

// Twenty buyers at the same time, five books: five get one.
const buyers = Array.from({ length: 20 }, async () => {
  const buyer = await db.duplicate().connect();
  const reply = await buyer.sendCommand(
    ['ITEM.UPDATE', 'products', 'book', 'INCR', '1', 'stock', '-1', 'IF', 'stock >= 1']);
  buyer.destroy();
  return reply;
});
const sold = (await Promise.all(buyers)).filter((reply) => reply === 'OK').length;
assert.equal(sold, 5);
assert.equal(await stock('book'), 0);
console.log('twenty buyers of five books:', sold, 'got one,', await stock('book'), 'left');

// Ann buys two boards and the only clock.
await addToCart('ann', 'board', 1);
await addToCart('ann', 'board', 1);
await addToCart('ann', 'clock', 1);
const cart = (await run('ITEM.QUERY', 'carts', 'ann')).items.map(({ sku, qty }) => [sku, qty]);
assert.deepEqual(cart, [['board', 2], ['clock', 1]]);
const ann = await orderOf('ann');
await transact(ann.commands);
assert.deepEqual([await stock('board'), await stock('clock')], [8, 0]);
assert.equal(await run('ITEM.QUERY', 'carts', 'ann', 'COUNT'), 0);
assert.equal((await run('ITEM.GET', 'orders', 'ann', ann.number)).total, 105);
console.log("ann's order:", await run('ITEM.GET', 'orders', 'ann', ann.number, 'FORMAT', 'JSON'));

// Bob wants a board and a clock. The clock is gone, so the whole transaction is cancelled: the board stays in stock,
// his cart stays full, and no order is counted. The error says which command failed, counted from ITEM.ATOMIC as 0.
await addToCart('bob', 'board', 1);
await addToCart('bob', 'clock', 1);
const bob = await orderOf('bob');
await assert.rejects(transact(bob.commands), { message: 'TXCANCELLED 2:ConditionalCheckFailed' });
console.log("bob's order: cancelled");
assert.equal(await stock('board'), 8);
assert.equal(await run('ITEM.QUERY', 'carts', 'bob', 'COUNT'), 2);
assert.equal(await run('ITEM.QUERY', 'orders', 'bob', 'COUNT'), 0);
assert.equal(await run('GET', 'orders:placed'), '1');

// Ann's reply got lost and her program sends the same transaction again: it is answered as before, and sells nothing twice.
await transact(ann.commands);
assert.equal(await stock('board'), 8);
assert.equal(await run('GET', 'orders:placed'), '1');
console.log("ann's order sent again: boards left", await stock('board'), 'and orders placed', await run('GET', 'orders:placed'));

await db.close();
