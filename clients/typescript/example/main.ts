/** Starts the shop with what the environment says. */
import { createHonnin } from "honnin-client";
import { Customers } from "./customers.js";
import { server, Shop } from "./shop.js";

const CATCH_UP_MS = 60 * 60 * 1000;

const honnin = createHonnin({
  url: set("HONNIN_URL"),
  credentials: { accessKeyId: set("AWS_ACCESS_KEY_ID"), secretAccessKey: set("AWS_SECRET_ACCESS_KEY") },
});
const customers = new Customers(set("SHOP_FILE"));
const shop = new Shop({ honnin, customers, secret: set("HONNIN_WEBHOOK_SECRET"), returnUrl: set("SHOP_RETURN_URL") });
const catchUp = () => shop.catchUp().catch((error: unknown) => console.error(error));

await catchUp();
setInterval(catchUp, CATCH_UP_MS);
const listening = server(shop).listen(Number(set("PORT")), "127.0.0.1", () =>
  console.log("Listening:", listening.address()),
);

function set(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}
